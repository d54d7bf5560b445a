"""The toolkit of a proposer within a healing, and the request that contains it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from selfheal.app.llm.client import CALLS_AN_ANSWER
from selfheal.db.types import Agent
from selfheal.optimizer.context import OptimizerContext
from selfheal.optimizer.dataset.failure_digest import covers_case, digest_trial
from selfheal.optimizer.evaluation.diagnosis import diagnosed
from selfheal.optimizer.evaluation.run_case import TRIAL_CALLS
from selfheal.optimizer.evaluation.trials import TrialStore, is_evidence
from selfheal.optimizer.proposers.base import ProposalRequest, RejectedCandidate, ScoredCase, Shape
from selfheal.optimizer.records.candidates import Fate
from selfheal.optimizer.records.cases import GENERATED, Case, Version
from selfheal.optimizer.records.diagnosis import Evidence, Findings
from selfheal.optimizer.state import State
from selfheal.optimizer.wording import sentence

_NO_EVIDENCE: Final = 0.0


@dataclass(frozen=True, slots=True)
class HealingToolkit:
    """The `ProposerToolkit` of a healing. It can run the cases of the request and no others.

    Attributes:
        context: the optimizer's context.
        healing_id: the healing that is charged.
        agent: whose prompt is improved.
        incumbents: the live prompts of all agents.
        trial_store: runs the cases.
        case_ids: the ids of the cases of the request.
    """

    context: OptimizerContext
    healing_id: str
    agent: Agent
    incumbents: Mapping[Agent, Version]
    trial_store: TrialStore
    case_ids: frozenset[str]

    @property
    def concurrency(self) -> int:
        """How many operations may run at once."""
        return self.context.settings.heal_concurrency

    async def score(self, text: str, case: Case) -> ScoredCase:
        """Run a case under a text. It is charged like a trial, but no decision is based on it."""
        if case["id"] not in self.case_ids:
            raise ValueError(f"{case['id']} is not a case of this request")
        result = await self.trial_store.run_unrecorded(text, case)
        if result is None:
            details = {"message": "the manager gave no plan"}
            evidence = digest_trial(case, "infrastructure", details)
            return ScoredCase(False, _NO_EVIDENCE, evidence)
        score = result.score if is_evidence(result) else _NO_EVIDENCE
        return ScoredCase(result.passed, score, digest_trial(case, result.outcome, result.details))

    async def diagnose(self, text: str, evidence: Sequence[Evidence]) -> Findings:
        """Ask the diagnostician about a text as if it were the live prompt."""
        version = self.incumbents[self.agent]["version"]
        live = {**self.incumbents, self.agent: Version(version=version, text=text)}
        state = State(
            healing_id=self.healing_id,
            agent=self.agent,
            blamed=True,
            incumbents=live,
            evidence=list(evidence),
        )
        return await diagnosed(self.context, state)

    async def fill(self, system: str, human: str, shape: type[Shape]) -> Shape:
        """Ask the optimizer's model for a structured answer."""
        hold = self.context.hold(self.healing_id)
        work = self.context.model.fill(system, human, shape)
        answer, _ = await self.context.budget.charge(hold, CALLS_AN_ANSWER, work)
        return answer.content

    async def affordable_trials(self) -> int:
        """Return how many trials the remaining budget covers, each at its highest cost."""
        remaining = await self.context.budget.remaining(self.context.hold(self.healing_id))
        return remaining // TRIAL_CALLS[self.agent]


async def proposal_request(context: OptimizerContext, state: State, number: int) -> ProposalRequest:
    """Return the request for a round of proposals.

    Args:
        context: the optimizer's context.
        state: the state of the healing, diagnosed.
        number: the number of the round, from 1.
    """
    cases = [case for case in state["split"]["train"] if covers_case(state["evidence"], case)]
    toolkit = HealingToolkit(
        context,
        state["healing_id"],
        state["agent"],
        state["incumbents"],
        await TrialStore.read(context, state["healing_id"], state["agent"], {}, {}),
        frozenset(case["id"] for case in cases),
    )
    return ProposalRequest(
        agent=state["agent"],
        incumbent=state["incumbent"]["text"],
        findings=state["findings"],
        rejected=_rejected(state),
        cases=cases,
        evidence=state["evidence"],
        round=number,
        toolkit=toolkit,
    )


_GATE_RESULTS: Final[Mapping[Fate, str]] = {
    "gate": "rejected",
    "accepted": "better than the live prompt, but too many cases still fail",
}


def _rejected(state: State) -> list[RejectedCandidate]:
    """Return the earlier candidates. The gate's reason is withheld: it describes held-out work."""
    return [
        RejectedCandidate(
            prompt=proposal["text"],
            reason=_GATE_RESULTS.get(proposal["fate"]) or sentence(proposal["reason"]),
        )
        for proposal in state["proposals"]
        if proposal["origin"] in GENERATED and proposal["fate"]
    ]
