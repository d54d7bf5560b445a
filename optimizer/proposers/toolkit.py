"""The means of a proposer: the doctor's own, without a view of what is not the proposer's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from selfheal.db import healings
from selfheal.db.types import Agent
from selfheal.optimizer.context import OptimizerContext
from selfheal.optimizer.dataset import failure_digest as shown
from selfheal.optimizer.evaluation import spending
from selfheal.optimizer.evaluation.run_case import TRIAL_CALLS
from selfheal.optimizer.evaluation.trials import Ledger
from selfheal.optimizer.nodes.diagnose import diagnosed
from selfheal.optimizer.proposers.base import Brief, Rejected, Shape, Tried
from selfheal.optimizer.state import GENERATED, Case, Evidence, Findings, State, Version
from selfheal.optimizer.wording import sentence

_NO_VERDICT: Final = 0.0


@dataclass(frozen=True, slots=True)
class Desk:
    """Does what a proposer asks for. It holds the cases of the brief, and no others.

    Attributes:
        doctor: whose model, agent and budget are used.
        healing_id: who pays.
        agent: whose prompt is tried.
        incumbents: the live prompts of all agents.
        ledger: runs the cases.
        cases: the ids of those that may be tried.
    """

    doctor: OptimizerContext
    healing_id: str
    agent: Agent
    incumbents: Mapping[Agent, Version]
    ledger: Ledger
    cases: frozenset[str]

    @property
    def width(self) -> int:
        """How many things may be under way at once."""
        return self.doctor.settings.heal_concurrency

    async def tried(self, text: str, case: Case) -> Tried:
        """Run a case under a text; it is paid for like a trial, and it is none: no gate sees it."""
        if case["id"] not in self.cases:
            raise ValueError(f"{case['id']} is no case of this brief")
        result = await self.ledger.rehearse(text, case)
        if result is None:
            seen = {"message": "the manager gave no plan"}
            return Tried(False, _NO_VERDICT, shown.of_trial(case, "infrastructure", seen))
        score = result.score if result.verdict else _NO_VERDICT
        return Tried(result.passed, score, shown.of_trial(case, result.outcome, result.seen))

    async def diagnosed(self, text: str, evidence: Sequence[Evidence]) -> Findings:
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
        return await diagnosed(self.doctor, state)

    async def fill(self, system: str, human: str, shape: type[Shape]) -> Shape:
        """Ask the optimizer's model for a shape."""
        return await spending.fill(self.doctor, self.healing_id, system, human, shape)

    async def affordable(self) -> int:
        """Return how many trials the healing and the day can still pay for."""
        settings, hold = self.doctor.settings, self.doctor.hold(self.healing_id)
        async with self.doctor.database.connection() as connection:
            mine = (await healings.get(connection, hold.id)).calls_reserved
            today = await healings.reserved_today(connection)
        left = min(settings.heal_budget_calls - mine, settings.heal_daily_calls - today)
        return max(left, 0) // TRIAL_CALLS[self.agent]


async def brief_of(doctor: OptimizerContext, state: State, number: int) -> Brief:
    """Return what a proposer may see of a healing in a round."""
    cases = _shown(state)
    desk = Desk(
        doctor,
        state["healing_id"],
        state["agent"],
        state["incumbents"],
        await Ledger.read(doctor, state["healing_id"], state["agent"], {}, {}),
        frozenset(case["id"] for case in cases),
    )
    return Brief(
        agent=state["agent"],
        incumbent=state["incumbent"]["text"],
        findings=state["findings"],
        rejected=_rejected(state),
        cases=cases,
        evidence=state["evidence"],
        round=number,
        means=desk,
    )


def _shown(state: State) -> list[Case]:
    """Return the train cases that the diagnostician was shown something of."""
    return [case for case in state["split"]["train"] if shown.tells_of(state["evidence"], case)]


def _rejected(state: State) -> list[Rejected]:
    """Tell what became of earlier proposals; of the gate, only that it rejected."""
    return [
        Rejected(
            prompt=each["text"],
            reason="rejected" if each["fate"] == "gate" else sentence(each["reason"]),
        )
        for each in state["proposals"]
        if each["origin"] in GENERATED and each["fate"]
    ]
