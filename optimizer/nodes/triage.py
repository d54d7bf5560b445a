"""triage: open the healing, and check the judge."""

import asyncio
from uuid import UUID

from langgraph.config import get_config
from langgraph.runtime import Runtime

from selfheal.db import healings, prompts, runs
from selfheal.db.reasons import because
from selfheal.optimizer import outcomes
from selfheal.optimizer.context import (
    OptimizerContext,
    RuntimeContext,
    optimizer_context,
    select_target,
    traced_state,
)
from selfheal.optimizer.dataset.failure_digest import failure_of_run
from selfheal.optimizer.dataset.tenant_quota import apply_quota
from selfheal.optimizer.evaluation import judge_drift
from selfheal.optimizer.evaluation.judge_drift import DriftCheck
from selfheal.optimizer.policy.failure_causes import decided_by_marks
from selfheal.optimizer.policy.judge_drift import Consequence, consequence, must_ask
from selfheal.optimizer.records.cases import Count, Version
from selfheal.optimizer.records.diagnosis import FailureRecord
from selfheal.optimizer.state import State, is_shortening

_MOST_FAILURES = 200


async def triage(state: State, runtime: Runtime[RuntimeContext]) -> State:
    """Continue only as the one healing, and with a judge that can be relied on."""
    context = optimizer_context(runtime)
    healing_id = str(get_config()["configurable"]["thread_id"])
    first = state.get("agent", "worker")
    async with context.database.connection() as connection:
        mine = await healings.open_(
            connection,
            context.hold(healing_id),
            agent=first,
            trigger=state.get("trigger", "request"),
            incumbent_version=state["incumbents"][first]["version"],
            lease=context.settings.lease_seconds,
        )
    if not mine:
        return State(outcome="busy", reason=because("healing_open"))
    opened = State(
        healing_id=healing_id,
        asked_about=state.get("agent"),
        round=0,
        proposals=[],
        screens=[],
        gates=[],
    )
    target = await select_target(context, healing_id, state, first)
    causes = await _failures(context, state)
    with traced_state(runtime, "triage", failed_run_ids=state["failed_run_ids"]) as found:
        judged = await _check_judge(context, healing_id, state, decided_by_marks(causes))
        found.update(judged)
    # The worker's failures are looked at until an agent is found to be the cause. A judge whose own
    # prompt is broken is the target at once: its updates replace the worker's.
    return {**opened, **target, "blamed": "agent" in state, "failures": causes, **judged}


async def _failures(context: OptimizerContext, state: State) -> list[FailureRecord]:
    """Return what rules see of all failed runs, of the newest ones if there are very many.

    Those of held-out cases are counted too: no model sees them.
    """
    ids = [UUID(each) for each in state["failed_run_ids"]]
    async with context.database.connection() as connection:
        found = await runs.of_ids(connection, ids)
    failed = apply_quota(found[::-1], _MOST_FAILURES)[::-1]
    # Plans and requests are parsed: not in the event loop.
    return await asyncio.to_thread(lambda: [failure_of_run(run) for run in failed])


async def _check_judge(
    context: OptimizerContext, healing_id: str, state: State, marks: Count
) -> State:
    """Freeze the healing if the judge is not to be relied on, or heal the evaluator's prompt.

    Args:
        context: what the healing shares.
        healing_id: the healing that is charged.
        state: of the healing.
        marks: the failures that the judge's marks decided, of how many.
    """
    requested, shortening = state.get("agent"), is_shortening(state.get("trigger"))

    def follows(checked: DriftCheck) -> Consequence:
        return consequence(checked.finding, marks, requested, shortening=shortening)

    checked = await judge_drift.known(context.database, context.agent.evaluator.model.name)
    unknown = not checked.finding["asked"] and must_ask(
        marks=marks,
        requested=requested,
        shortening=shortening,
        recorded=checked.finding["usual"] is not None,
    )
    # The diagnosis of an evaluator's prompt needs the judge's answers.
    if unknown or (follows(checked) == "heal_evaluator" and not checked.opinions):
        checked = await judge_drift.ask(context, healing_id)
    judge = checked.finding
    found = State(judge=judge, opinions=dict(checked.opinions))
    step = follows(checked)
    if step == "freeze":
        ended = outcomes.frozen(judge)
        return {**found, "outcome": ended.outcome, "reason": ended.reason}
    if step == "heal":
        return found
    goods = dict(state["last_goods"])
    if judge["sound_version"] is not None:
        async with context.database.connection() as connection:
            sound = await prompts.get(connection, "evaluator", judge["sound_version"])
        goods["evaluator"] = Version(version=sound.version, text=sound.text)
    target = await select_target(context, healing_id, {**state, "last_goods": goods}, "evaluator")
    return {**found, "last_goods": goods, **target}
