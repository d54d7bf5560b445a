"""What an attack is, and what may be said of it after a try."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from selfheal.graph.sandbox.protocol import Limits

# works: every call returns True. outlasts: the program runs on when its time is over.
# crashes: a naive judge, sharing its process with the program, never comes to a verdict.
# fooled: it passes the program.
Control = Literal["works", "outlasts", "crashes", "fooled"]
State = Literal["stopped", "NOT STOPPED", "works", "control failed", "control unavailable"]

QUICK = Limits(wall_seconds=1.0, cpu_seconds=2)
SHORT = Limits(wall_seconds=0.4, cpu_seconds=2)  # for attacks that end only when they are ended
PATIENT = Limits(wall_seconds=6.0, cpu_seconds=5)  # for attacks that need their time to do harm


@dataclass(frozen=True, slots=True)
class Attack:
    """A program that tries one thing no program may do.

    `calls` and `control_calls` are templates, filled with what `Targets.names` offers. A call that
    reached its aim returns True; one that was held back raises, or returns something else. The
    control is the same program without a sandbox, with smaller numbers where it would do harm
    (`control_calls`); `needs` says what a machine or a user may lack for it. `examples` make the
    attack one on the verdict: stated examples that do not hold, which must not be passed.
    """

    name: str
    family: str
    tries: str
    code: str
    calls: tuple[str, ...] = ()
    control: Control = "works"
    control_calls: tuple[str, ...] = ()
    needs: str = ""
    examples: tuple[Mapping[str, str], ...] = ()
    limits: Limits = QUICK
    generate: Callable[[], str] | None = field(default=None, compare=False)

    @property
    def text(self) -> str:
        """The program's text; the long ones are made when they are needed."""
        return self.generate() if self.generate else self.code


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one try: of the attack on a backend, or of its control."""

    state: State
    how: str
    milliseconds: int
