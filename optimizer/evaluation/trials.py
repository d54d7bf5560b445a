"""Trials of a healing: paid from its budget, stored as they end, never run twice."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from selfheal.app.errors import RunError
from selfheal.app.llm.client import CALLS_AN_ANSWER
from selfheal.app.llm.usage import Usage, metered
from selfheal.app.tracing import traced
from selfheal.db import healings
from selfheal.db import trials as store
from selfheal.db.healings import Hold
from selfheal.db.types import Agent, Stage, Trial
from selfheal.graph.state import Plan
from selfheal.optimizer.context import OptimizerContext
from selfheal.optimizer.evaluation.run_case import TRIAL_CALLS, Replayed, make_plan, replay
from selfheal.optimizer.state import Case, Proposal, State, Unjudged

INCUMBENT = 0
_INPUTS = ("request", "examples", "plan", "code")

Value = TypeVar("Value")


class BudgetSpentError(Exception):
    """The healing, or the day, may make no more model calls."""

    def __init__(self) -> None:
        super().__init__("the budget of model calls is spent")


@dataclass
class Ledger:
    """What a healing has tried so far, read from the database and written through to it."""

    doctor: OptimizerContext
    healing_id: str
    agent: Agent
    texts: dict[int, str]
    versions: Mapping[int, int]
    done: dict[tuple[Stage, int, str, int], Trial] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    _unjudged: Unjudged = field(default_factory=lambda: Unjudged(count=0, of=0, first=""))
    _planning: dict[str, asyncio.Lock] = field(default_factory=dict)

    @classmethod
    async def read(
        cls,
        doctor: OptimizerContext,
        healing_id: str,
        agent: Agent,
        texts: dict[int, str],
        versions: Mapping[int, int],
    ) -> "Ledger":
        """Read what was tried before, perhaps by a process that is gone.

        Args:
            agent: whose prompt the texts are.
            texts: the prompt of each arm.
            versions: of the arms whose text is stored as a version, which one.
        """
        hold = doctor.hold(healing_id)
        async with doctor.database.connection() as connection:
            trials = await store.trials(connection, hold.id)
            plans = await store.plans(connection, hold.id)
        done = {(trial.stage, trial.arm, trial.case_id, trial.take): trial for trial in trials}
        made = cast("dict[str, Plan]", plans)
        return cls(doctor, healing_id, agent, texts, versions, done, made)

    async def trial(self, stage: Stage, arm: int, case: Case, take: int = 0) -> Trial | None:
        """Return the trial of a case under an arm's prompt; None where it gave no verdict.

        Args:
            stage: what it is for.
            arm: whose prompt.
            case: what to run.
            take: 0, or more to run the same again.

        Raises:
            BudgetSpentError: there is nothing left to pay it from.
        """
        key = (stage, arm, case["id"], take)
        self._unjudged["of"] += 1
        why = ""  # of what was tried by a process that is gone
        if key not in self.done:
            with self._traced(stage, case, arm, take=take) as told:
                ran = await self._replayed(case, self.texts[arm])
                told.update(_told(ran))
            if ran is None:
                return None
            await self._store(key, *ran)
            why = _reason(ran[0])
        trial = self.done[key]
        if is_verdict(trial):
            return trial
        self._count_unjudged(why)
        return None

    def unjudged(self, state: State) -> Unjudged:
        """Return the trials without a verdict, those of the pass's earlier states included.

        Their reasons are known to the process that made them: after a kill the first may be lost.
        """
        earlier = state.get("unjudged") or Unjudged(count=0, of=0, first="")
        return Unjudged(
            count=earlier["count"] + self._unjudged["count"],
            of=earlier["of"] + self._unjudged["of"],
            first=earlier["first"] or self._unjudged["first"],
        )

    def _count_unjudged(self, why: str) -> None:
        self._unjudged["count"] += 1
        self._unjudged["first"] = self._unjudged["first"] or why

    async def rehearse(self, text: str, case: Case) -> Replayed | None:
        """Run a case under a text that is no arm: paid like a trial, but not kept, and no evidence.

        Returns None where there is no plan to work from.

        Raises:
            BudgetSpentError: there is nothing left to pay it from.
        """
        with self._traced("propose", case, None) as told:
            ran = await self._replayed(case, text)
            told.update(_told(ran))
        return ran[0] if ran else None

    def _traced(
        self, stage: str, case: Case, arm: int | None, **metadata: Any
    ) -> AbstractContextManager[dict[str, Any]]:
        """Trace a trial; without an arm it is of a text that is no candidate yet."""
        version = None if arm is None else self.versions.get(arm)
        return traced(
            "trial",
            "trial",
            {name: case[name] for name in _INPUTS if name in case},  # type: ignore[literal-required]
            stage=stage,
            case_id=case["id"],
            prompt_agent=self.agent,
            arm=arm,
            prompt_version=version,
            candidate=None if version else arm,
            **metadata,
        )

    async def _replayed(self, case: Case, text: str) -> tuple[Replayed, Usage] | None:
        """Run a case under a text; None where there is no plan to work from."""
        plan = await self._plan(case) if self.agent == "worker" else None
        if plan is None and self.agent == "worker":
            return None
        work = replay(self.doctor.agent, case, self.agent, text, plan)
        return await pay(self.doctor, self.healing_id, TRIAL_CALLS[self.agent], work)

    async def _store(
        self, key: tuple[Stage, int, str, int], result: Replayed, usage: Usage
    ) -> None:
        stage, arm, case_id, take = key
        row = {
            "outcome": result.outcome,
            "passed": result.passed,
            "score": result.score,
            "executed": result.executed,
            "calls": usage["calls"],
        }
        hold = self.doctor.hold(self.healing_id)
        async with self.doctor.database.connection() as connection:
            self.done[key] = await store.add_trial(
                connection, hold.id, stage=stage, arm=arm, case_id=case_id, take=take, result=row
            )

    async def _plan(self, case: Case) -> Plan | None:
        """Return the plan that all arms of a case share: the logged one, or one made once."""
        if "plan" in case:
            return case["plan"]
        async with self._planning.setdefault(case["id"], asyncio.Lock()):
            if case["id"] not in self.plans:
                try:
                    work = make_plan(self.doctor.agent, case)
                    plan, _ = await pay(self.doctor, self.healing_id, CALLS_AN_ANSWER, work)
                except RunError as error:
                    self._count_unjudged(f"{error.outcome}: no plan: {error}")
                    return None
                self.plans[case["id"]] = plan
                async with self.doctor.database.connection() as connection:
                    hold = self.doctor.hold(self.healing_id)
                    await store.add_plan(connection, hold.id, case["id"], plan)
        return self.plans[case["id"]]


def stored(proposals: Sequence[Proposal]) -> dict[int, int]:
    """Return the versions of the candidates that are versions already, by their ordinals."""
    return {each["ordinal"]: version for each in proposals if (version := each["version"])}


def _reason(result: Replayed) -> str:
    """Return the class of a trial without a verdict, and why it has none."""
    return f"{result.outcome}: {result.seen.get('message') or 'the code was not executed'}"


def _told(ran: tuple[Replayed, Usage] | None) -> dict[str, Any]:
    """Return what a trace says of a trial."""
    if ran is None:
        return {"outcome": "no plan"}
    result, usage = ran
    return {"outcome": result.outcome, "score": result.score, "calls": usage["calls"]}


async def pay(
    doctor: OptimizerContext, healing_id: str, calls: int, work: Coroutine[Any, Any, Value]
) -> tuple[Value, Usage]:
    """Reserve calls, do the work, and settle what it really used; return its value and its cost.

    Raises:
        BudgetSpentError: the reservation was refused; the work was not begun.
    """
    hold = doctor.hold(healing_id)
    try:
        await _reserve(doctor, hold, calls)
    except BaseException:
        work.close()  # it was not begun, and nobody else will
        raise
    with metered() as usage:
        try:
            return await work, usage
        finally:
            async with doctor.database.connection() as connection:
                await healings.settle(
                    connection,
                    hold,
                    reserved=calls,
                    used=usage["calls"],
                    input_tokens=usage["input_tokens"],
                    output_tokens=usage["output_tokens"],
                )
            await doctor.purse.settled(hold.id)


async def _reserve(doctor: OptimizerContext, hold: Hold, calls: int) -> None:
    """Reserve calls; where others hold what they may not need, wait for them.

    Raises:
        BudgetSpentError: what is left does not suffice, and nothing more will come back.
    """
    settings = doctor.settings
    while True:
        given_back = doctor.purse.given_back
        async with doctor.database.connection() as connection:
            allowed = await healings.reserve(
                connection,
                hold,
                calls,
                budget=settings.heal_budget_calls,
                daily=settings.heal_daily_calls,
            )
        if allowed:
            doctor.purse.took(hold.id)
            return
        if not await doctor.purse.may_retry(hold.id, given_back):
            raise BudgetSpentError


def is_verdict(trial: Trial) -> bool:
    """Tell whether a trial is evidence: a judged and executed program, or an unusable answer."""
    return trial.outcome == "output" or (trial.outcome in ("ok", "failed") and trial.executed)
