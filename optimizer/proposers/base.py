"""The interface of a proposer: its request, its toolkit, and the candidates that it returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypedDict, TypeVar

from pydantic import BaseModel, Field

from selfheal.db.types import Agent
from selfheal.optimizer.records.cases import Case
from selfheal.optimizer.records.diagnosis import Evidence, Findings

Shape = TypeVar("Shape", bound=BaseModel)


class CandidateText(BaseModel):
    """A prompt that should replace the present one."""

    prompt: str = Field(description="The whole new prompt, ready to use")
    rationale: str = Field(description="What was changed, and why")


class RejectedCandidate(TypedDict):
    """An earlier candidate and why it was rejected; of the gate, only that it rejected."""

    prompt: str
    reason: str


@dataclass(frozen=True, slots=True)
class ScoredCase:
    """The result of one train case under a text.

    Attributes:
        passed: whether the case passed.
        score: from 0 to 1; 0 if the result is no evidence.
        evidence: what the diagnostician may be shown of it.
    """

    passed: bool
    score: float
    evidence: Evidence


class ProposerToolkit(Protocol):
    """The operations available to a proposer. Each call is charged to the healing's budget.

    All of them raise RunError if a model gives no usable answer and BudgetSpentError if the budget
    does not cover the call. A case that fails is a result, not an error.
    """

    @property
    def concurrency(self) -> int:
        """How many operations may run at once."""

    async def score(self, text: str, case: Case) -> ScoredCase:
        """Run a case of the request under a text.

        Raises:
            ValueError: the case is not one of the request.
        """

    async def diagnose(self, text: str, evidence: Sequence[Evidence]) -> Findings:
        """Ask the diagnostician what is wrong with a text, given results of cases under it."""

    async def fill(self, system: str, human: str, shape: type[Shape]) -> Shape:
        """Ask the optimizer's model for a structured answer."""

    async def affordable_trials(self) -> int:
        """Return how many trials the remaining budget covers, each at its highest cost."""


@dataclass(frozen=True, slots=True)
class ProposalRequest:
    """All that a proposer may see: never hold-out, regression or golden requests.

    Attributes:
        agent: whose prompt it is.
        incumbent: the text to improve.
        findings: the diagnosis of the incumbent.
        rejected: the earlier candidates of this healing.
        cases: the train cases whose runs the diagnostician was shown. Any other case could bring
            untrusted text into a candidate that the lint cannot compare it with.
        evidence: what the diagnostician was shown of the cases.
        round: the round of proposals, from 1.
        toolkit: the operations available.
    """

    agent: Agent
    incumbent: str
    findings: Findings
    rejected: Sequence[RejectedCandidate]
    cases: Sequence[Case]
    evidence: Sequence[Evidence]
    round: int
    toolkit: ProposerToolkit


class Proposer(Protocol):
    """Proposes candidates for a request."""

    async def propose(self, request: ProposalRequest) -> list[CandidateText]:
        """Return the candidates of a round; an empty list if none is better than the incumbent.

        Raises:
            RunError: a model gave no usable answer.
            BudgetSpentError: the budget does not cover a call.
        """
