"""triage: leave out what no prompt can fix, open the healing, and check the judge."""

from langgraph.config import get_config
from langgraph.runtime import Runtime

from selfheal.db import healings, prompts
from selfheal.db.reasons import Reason, because
from selfheal.optimizer import outcomes
from selfheal.optimizer.context import (
    OptimizerContext,
    RuntimeContext,
    optimizer_context,
    select_target,
    traced_state,
)
from selfheal.optimizer.evaluation import judge_drift
from selfheal.optimizer.state import State, Version, is_shortening


async def triage(state: State, runtime: Runtime[RuntimeContext]) -> State:
    """Continue only with failures that a prompt may have caused, and only as the one healing."""
    context = optimizer_context(runtime)
    failures = len(state["failed_run_ids"])
    requested = state.get("forced") or is_shortening(state.get("trigger"))
    requested = requested or "kept_candidate" in state
    if not requested and failures < context.settings.failure_threshold:
        return State(outcome="not_the_prompt", reason=_not_the_prompt(state))
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
    with traced_state(runtime, "triage", failed_run_ids=state["failed_run_ids"]) as found:
        judged = await _check_judge(context, healing_id, state)
        found.update(judged)
    # The worker's failures are looked at until an agent is found to be the cause. A judge whose own
    # prompt is broken is the target at once: its updates replace the worker's.
    return {**opened, **target, "blamed": "agent" in state, **judged}


def _not_the_prompt(state: State) -> Reason:
    newest = state.get("newest_error")
    return because(
        "not_the_prompt",
        errors=state["errors"],
        failures=len(state["failed_run_ids"]),
        newest=newest
        and because("run_failed", outcome=newest["outcome"], message=newest["message"]),
    )


async def _check_judge(context: OptimizerContext, healing_id: str, state: State) -> State:
    """Abort if the judge has drifted from its baseline.

    If it has a new prompt since it was sound, that prompt is what is broken: it is healed.
    """
    checked = await judge_drift.check_judge(context, healing_id)
    judge = checked.as_json()
    found = State(judge=judge, opinions=dict(checked.opinions))
    shortening = is_shortening(state.get("trigger"))
    if judge_drift.blocks_healing(judge, state.get("agent"), shortening=shortening):
        ended = outcomes.frozen(judge)
        return {**found, "outcome": ended.outcome, "reason": ended.reason}
    if not checked.drifted or checked.sound_version is None:
        return found
    async with context.database.connection() as connection:
        sound = await prompts.get(connection, "evaluator", checked.sound_version)
    goods = {
        **state["last_goods"],
        "evaluator": Version(version=sound.version, text=sound.text),
    }
    target = await select_target(context, healing_id, {**state, "last_goods": goods}, "evaluator")
    return {**found, "last_goods": goods, **target}
