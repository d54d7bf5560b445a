"""Trials of a healing: charged to its budget, stored as they end, never run twice."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from selfheal.app.errors import RunError
from selfheal.app.llm.client import CALLS_AN_ANSWER
from selfheal.app.llm.usage import Usage
from selfheal.app.tracing import traced
from selfheal.db import trials as stored_trials
from selfheal.db.types import Agent, Stage, Trial
from selfheal.graph.state import Plan
from selfheal.optimizer.context import OptimizerContext
from selfheal.optimizer.dataset.split import digest
from selfheal.optimizer.evaluation.run_case import TRIAL_CALLS, CaseResult, make_plan, run_case
from selfheal.optimizer.policy.plan_check import contradicts
from selfheal.optimizer.records.candidates import Proposal, Unjudged
from selfheal.optimizer.records.cases import Case
from selfheal.optimizer.state import State

INCUMBENT = 0
_INPUTS = ("request", "examples", "plan", "code")


class PlanMaker(NamedTuple):
    """What a plan of a golden case depends on: the manager's version, and its model."""

    version: int
    model: str


@dataclass
class TrialStore:
    """The trials of one healing: read from the database, and written to it as they end.

    Attributes:
        context: the optimizer's context.
        healing_id: the healing that is charged.
        agent: whose prompt is tried.
        texts: the prompt of each arm; arm 0 is the incumbent.
        versions: the versions of the arms whose text is stored as one.
        done: the trials that are stored, by (stage, arm, case id, take).
        plans: the plans that all arms of a case share, by case id.
        golden_plans: the plans of golden cases that earlier healings made, by `_golden_key`.
        manager: what plans depend on now; None where no plan is made for a trial.
    """

    context: OptimizerContext
    healing_id: str
    agent: Agent
    texts: dict[int, str]
    versions: Mapping[int, int]
    done: dict[tuple[Stage, int, str, int], Trial] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    golden_plans: Mapping[str, Plan] = field(default_factory=dict)
    manager: PlanMaker | None = None
    _unjudged: Unjudged = field(default_factory=lambda: Unjudged(count=0, of=0, first=""))
    _planning: dict[str, asyncio.Lock] = field(default_factory=dict)

    @classmethod
    async def read(
        cls,
        context: OptimizerContext,
        healing_id: str,
        agent: Agent,
        texts: dict[int, str],
        versions: Mapping[int, int],
    ) -> "TrialStore":
        """Read the healing's trials and plans, those of an earlier process included.

        The worker's cases also use the plans of golden cases that earlier healings made.
        """
        hold = context.hold(healing_id)
        manager = await _plan_maker(context) if agent == "worker" else None
        async with context.database.connection() as connection:
            trials = await stored_trials.trials(connection, hold.id)
            plans = await stored_trials.plans(connection, hold.id)
            golden = await stored_trials.golden_plans(connection, *manager) if manager else {}
        done = {(trial.stage, trial.arm, trial.case_id, trial.take): trial for trial in trials}
        made, known = cast("dict[str, Plan]", plans), cast("dict[str, Plan]", golden)
        return cls(context, healing_id, agent, texts, versions, done, made, known, manager)

    async def trial(self, stage: Stage, arm: int, case: Case, take: int = 0) -> Trial | None:
        """Return the trial of a case under an arm's prompt, run it if it is not stored.

        Args:
            stage: the decision that it is for.
            arm: whose prompt.
            case: the case to run.
            take: 0, or more to repeat a trial.

        Returns:
            The trial; None if it is no evidence.

        Raises:
            BudgetSpentError: the budget does not cover the trial.
        """
        key = (stage, arm, case["id"], take)
        self._unjudged["of"] += 1
        reason = ""  # unknown for the trials of an earlier process
        if key not in self.done:
            with self._traced(stage, case, arm, take=take) as outputs:
                result = await self._run(case, self.texts[arm])
                outputs.update(_trace_outputs(result))
            if result is None:
                return None
            await self._store(key, *result)
            reason = _failure(result[0])
        trial = self.done[key]
        if is_evidence(trial):
            return trial
        self._count_unjudged(reason)
        return None

    def unjudged(self, state: State) -> Unjudged:
        """Count the trials that were no evidence, those of the healing's earlier states included.

        Reasons are kept in memory only, so the first one may be missing after a process was killed.
        """
        earlier = state.get("unjudged") or Unjudged(count=0, of=0, first="")
        return Unjudged(
            count=earlier["count"] + self._unjudged["count"],
            of=earlier["of"] + self._unjudged["of"],
            first=earlier["first"] or self._unjudged["first"],
        )

    def _count_unjudged(self, reason: str) -> None:
        self._unjudged["count"] += 1
        self._unjudged["first"] = self._unjudged["first"] or reason

    async def run_unrecorded(self, text: str, case: Case) -> CaseResult | None:
        """Run a case under a text that is no arm: charged like a trial, but not stored.

        Returns:
            The result; None if the case has no plan and none could be made.

        Raises:
            BudgetSpentError: the budget does not cover it.
        """
        with self._traced("propose", case, None) as outputs:
            result = await self._run(case, text)
            outputs.update(_trace_outputs(result))
        return result[0] if result else None

    def _traced(
        self, stage: str, case: Case, arm: int | None, **metadata: Any
    ) -> AbstractContextManager[dict[str, Any]]:
        """Trace a trial; `arm` is None for a text that is not a candidate yet."""
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

    async def _run(self, case: Case, text: str) -> tuple[CaseResult, Usage] | None:
        """Run a case under a text; None if there is no plan for the worker."""
        plan = await self._plan(case) if self.agent == "worker" else None
        if plan is None and self.agent == "worker":
            return None
        hold = self.context.hold(self.healing_id)
        work = run_case(self.context.agent, case, self.agent, text, plan)
        return await self.context.budget.charge(hold, TRIAL_CALLS[self.agent], work)

    async def _store(
        self, key: tuple[Stage, int, str, int], result: CaseResult, usage: Usage
    ) -> None:
        stage, arm, case_id, take = key
        row = {
            "outcome": result.outcome,
            "passed": result.passed,
            "score": result.score,
            "executed": result.executed,
            "calls": usage["calls"],
            "tokens": result.tokens,
        }
        hold = self.context.hold(self.healing_id)
        async with self.context.database.connection() as connection:
            self.done[key] = await stored_trials.add_trial(
                connection, hold.id, stage=stage, arm=arm, case_id=case_id, take=take, result=row
            )

    async def _plan(self, case: Case) -> Plan | None:
        """Return the plan that all arms of a case share: a known one, or one made once."""
        if "plan" in case:
            return case["plan"]
        if known := self.golden_plans.get(_golden_key(case)):
            return known
        async with self._planning.setdefault(case["id"], asyncio.Lock()):
            if case["id"] not in self.plans:
                hold = self.context.hold(self.healing_id)
                try:
                    work = make_plan(self.context.agent, case)
                    plan, _ = await self.context.budget.charge(hold, CALLS_AN_ANSWER, work)
                except RunError as error:
                    self._count_unjudged(f"{error.outcome}: no plan: {error}")
                    return None
                self.plans[case["id"]] = plan
                await self._store_plan(case, plan)
        return self.plans[case["id"]]

    async def _store_plan(self, case: Case, plan: Plan) -> None:
        """Store a plan for this healing, and that of a golden case for later ones.

        One that contradicts its request is used in this healing alone: a slip of the manager must
        not spoil the case in every healing to come.
        """
        golden = case["source"] == "golden"
        keep = golden and not await asyncio.to_thread(contradicts, case["request"], plan)
        async with self.context.database.connection() as connection:
            hold = self.context.hold(self.healing_id)
            await stored_trials.add_plan(connection, hold.id, case["id"], plan)
            if self.manager and keep:
                key = _golden_key(case)
                await stored_trials.add_golden_plan(connection, key, *self.manager, plan)


def _golden_key(case: Case) -> str:
    """Return what a golden case is known by: a version of the product may change its text."""
    return f"{case['id']} {digest(case['request'])[:16]}"


async def _plan_maker(context: OptimizerContext) -> PlanMaker:
    """Return what makes plans now."""
    manager = await context.agent.prompts.released("manager")
    return PlanMaker(manager.version, context.agent.model.name)


def is_evidence(result: Trial | CaseResult) -> bool:
    """Tell whether a result counts: an executed and evaluated program, or an unusable answer.

    Infrastructure faults and programs that were not executed say nothing about the prompt.
    """
    return result.outcome == "output" or (result.outcome in ("ok", "failed") and result.executed)


def stored_versions(proposals: Sequence[Proposal]) -> dict[int, int]:
    """Return the versions of the candidates that are stored as one, by their ordinals."""
    return {
        proposal["ordinal"]: version for proposal in proposals if (version := proposal["version"])
    }


def _failure(result: CaseResult) -> str:
    """Return why a result is no evidence: its outcome and the message of the failure."""
    return f"{result.outcome}: {result.details.get('message') or 'the code was not executed'}"


def _trace_outputs(trial: tuple[CaseResult, Usage] | None) -> dict[str, Any]:
    if trial is None:
        return {"outcome": "no plan"}
    result, usage = trial
    return {"outcome": result.outcome, "score": result.score, "calls": usage["calls"]}
