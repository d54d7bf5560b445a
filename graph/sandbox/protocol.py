"""What every sandbox offers: run a stranger's program, evaluate calls against it."""

from dataclasses import dataclass
from typing import Literal, Protocol

Status = Literal["ok", "error", "timeout", "memory", "output", "killed", "not_run"]


class SandboxUnavailable(Exception):  # noqa: N818 - the name says what holds, as the design does
    """The sandbox itself broke or cannot be had: never "the program failed".

    `mend` says what the operator can do about it; it may be empty.
    """

    def __init__(self, reason: str, mend: str = "") -> None:
        super().__init__(f"{reason}. {mend}" if mend else reason)
        self.reason = reason
        self.mend = mend


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use before it is stopped."""

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
    """What one call did: returned `value`, or raised.

    `value` is a plain Python object or an `Opaque` (see `values`). `raised` is None if the call
    returned, else the names of the exception's class and of its bases, nearest first, so that
    "ValueError" can be found in the names of a subclass.
    """

    call: str
    value: object | None
    raised: tuple[str, ...] | None
    message: str


@dataclass(frozen=True, slots=True)
class Execution:
    """How a program ended, and the results of the calls that ended before it did.

    `ok`: the module loaded and every call was answered, by a value or by an exception.
    `error`: the module raised or did not compile. `timeout`, `memory`, `output`, `killed`: it was
    stopped or ended itself; `detail` says in plain words what happened, and during which call.
    `not_run`: no sandbox works here, so nothing is known about the program.
    """

    backend: str
    status: Status
    detail: str
    seconds: float
    stdout: str
    results: tuple[CallResult, ...]


class Sandbox(Protocol):
    """Runs programs that nobody vouches for. Safe to use from many tasks at once."""

    @property
    def name(self) -> str:
        """The backend's name, as in SELFHEAL_SANDBOX."""
        ...

    async def run(self, program: Program, limits: Limits = DEFAULT_LIMITS) -> Execution:
        """Run a program in a fresh process and evaluate its calls there.

        Whatever the program does is told by the Execution. If the awaiting task is cancelled,
        the process is killed and reaped before the cancellation goes on.

        Raises:
            SandboxUnavailable: the sandbox itself broke, so nothing is known about the program.
        """
        ...

    async def aclose(self) -> None:
        """End what is kept between runs. Called after the last run; more than once is fine."""
        ...
