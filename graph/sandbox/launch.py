"""How a backend starts its sandbox, and what the parent saw of it when it was over."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from graph.sandbox.transcript import Transcript

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
