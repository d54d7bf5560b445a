"""The interface of sandboxes: run an untrusted program and evaluate calls against it."""

from dataclasses import dataclass
from typing import Literal, Protocol

Status = Literal["ok", "error", "timeout", "memory", "output", "killed", "not_run"]


class SandboxUnavailable(Exception):  # noqa: N818 - not an error of the program
    """The sandbox itself failed or is not available: never "the program failed".

    Attributes:
        reason: what is wrong.
        remedy: what the operator can do about it; may be empty.
    """

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(f"{reason}. {remedy}" if remedy else reason)
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Limits:
    """The resources that one program may use."""

    wall_seconds: float = 10.0
    cpu_seconds: int = 5
    memory_bytes: int = 512 * 2**20
    output_bytes: int = 65536
    disk_bytes: int = 16 * 2**20


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Program:
    """A module's source text, and Python expressions to evaluate in its namespace, in order."""

    code: str
    calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CallResult:
    """The result of a call: a value or an exception.

    Attributes:
        call: its text.
        value: a plain Python object or an `Opaque` (see `values`).
        raised: None if it returned, else the names of the exception's class and its bases, nearest
            first.
        message: of the exception.
    """

    call: str
    value: object | None
    raised: tuple[str, ...] | None
    message: str


@dataclass(frozen=True, slots=True)
class Execution:
    """How a program ended, and the results of the calls that ended before.

    Attributes:
        backend: the sandbox's name.
        status: `ok`: the module loaded and every call returned or raised. `error`: the module
            raised or did not compile. `timeout`, `memory`, `output`, `killed`: it was stopped, or
            ended its process. `not_run`: no sandbox works here, so nothing is known about it.
        detail: what happened, and during which call; for people.
        seconds: from the start of its process to the end.
        stdout: what it printed, cut to the limit.
        results: in the order of the calls.
    """

    backend: str
    status: Status
    detail: str
    seconds: float
    stdout: str
    results: tuple[CallResult, ...]


class Sandbox(Protocol):
    """Runs untrusted programs. Safe for concurrent use by tasks."""

    @property
    def name(self) -> str:
        """The backend's name, as in SELFHEAL_SANDBOX."""
        ...

    async def run(self, program: Program, limits: Limits = DEFAULT_LIMITS) -> Execution:
        """Run a program in a fresh process and evaluate its calls there.

        Whatever the program does is reported in the Execution. If the task is cancelled, the
        process is killed and reaped before CancelledError is raised.

        Raises:
            SandboxUnavailable: the sandbox failed; nothing is known about the program.
        """
        ...

    async def aclose(self) -> None:
        """Release what is kept between runs. May be called more than once, after the last run."""
        ...
