"""How a backend starts its sandbox, and what the parent saw of it when it was over."""

from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from selfheal.graph.sandbox.channel import Transcript

Stop = Literal["start", "timeout", "output", "disk", "threads", "garbled", "cancelled"]


@dataclass(frozen=True, slots=True)
class Launch:
    """A command that makes a sandbox and runs the child in it.

    `disk_full` is asked now and then whether the program has written too much, by backends whose
    kernel does not keep count.
    """

    argv: tuple[str, ...]
    env: dict[str, str]
    fds: tuple[int, ...] = ()
    disk_full: Callable[[int], bool] | None = None


class Running(Protocol):
    """A process that runs the child, as asyncio has them; it leads a process group."""

    stdin: StreamWriter | None
    stdout: StreamReader | None
    stderr: StreamReader | None

    @property
    def pid(self) -> int:
        """Its number, and that of its group."""
        ...

    @property
    def returncode(self) -> int | None:
        """How it ended, or None while it runs."""
        ...

    async def wait(self) -> int:
        """Wait for its end."""
        ...


@dataclass(slots=True)
class Ending:
    """Everything the parent saw of one child."""

    transcript: Transcript
    returncode: int = 0
    stopped: Stop | None = None
    why: str = ""
    seconds: float = 0.0
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
