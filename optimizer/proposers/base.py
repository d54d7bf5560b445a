"""What a proposer is asked, what it may have done for it, and what it gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypedDict, TypeVar

from pydantic import BaseModel, Field

from selfheal.db.types import Agent
from selfheal.optimizer.state import Case, Evidence, Findings

Shape = TypeVar("Shape", bound=BaseModel)


class Draft(BaseModel):
    """A prompt that should replace the present one."""

    prompt: str = Field(description="The whole new prompt, ready to use")
    rationale: str = Field(description="What was changed, and why")


class Rejected(TypedDict):
    """An earlier candidate, and what was wrong with it; of the gate, only that it rejected."""

    prompt: str
    reason: str


@dataclass(frozen=True, slots=True)
class Tried:
    """What one train case came to under a text: `score` from 0 to 1, 0 where there is no verdict.

    `evidence` is what a diagnostician may be shown of it.
    """

    passed: bool
    score: float
    evidence: Evidence


class Means(Protocol):
    """What a proposer may have done for it; each is paid from the healing's budget.

    All of them raise RunError where a model gives no usable answer, and BudgetSpentError where
    there is nothing left to pay it from; only what a case comes to is an answer, never an error.
    """

    @property
    def width(self) -> int:
        """How many of these may be under way at once."""

    async def tried(self, text: str, case: Case) -> Tried:
        """Run a case that the brief names under a text.

        Raises:
            ValueError: the brief does not name it.
        """

    async def diagnosed(self, text: str, evidence: Sequence[Evidence]) -> Findings:
        """Say what is wrong with a text, by what became of cases under it."""

    async def fill(self, system: str, human: str, shape: type[Shape]) -> Shape:
        """Ask the optimizer's model for a shape."""

    async def affordable(self) -> int:
        """Return how many trials what is left pays for, each at its worst."""


@dataclass(frozen=True, slots=True)
class Brief:
    """All that a proposer may see. Hold-out, regression and golden requests are not in it.

    Attributes:
        agent: whose prompt it is.
        incumbent: the text to improve.
        findings: the diagnosis of the incumbent.
        rejected: what became of earlier candidates of this healing.
        cases: those train cases whose runs the diagnostician was shown, or the words of a stranger
            could come into a candidate by a case that lint knows nothing of.
        evidence: what it was shown of them.
        round: the round of proposals, from 1.
        means: what can be done.
    """

    agent: Agent
    incumbent: str
    findings: Findings
    rejected: Sequence[Rejected]
    cases: Sequence[Case]
    evidence: Sequence[Evidence]
    round: int
    means: Means


class Proposer(Protocol):
    """Whoever makes something of a brief."""

    async def propose(self, brief: Brief) -> list[Draft]:
        """Return the candidates of a round; none, where nothing better was found.

        Raises:
            RunError: a model gave no usable answer.
            BudgetSpentError: there is nothing left to pay it from.
        """
