"""release: the proven candidate becomes a version, and live."""

from langgraph.runtime import Runtime

from selfheal.db import healings
from selfheal.optimizer import outcomes
from selfheal.optimizer.context import RuntimeContext, optimizer_context
from selfheal.optimizer.policy.added_clauses import held_edits
from selfheal.optimizer.policy.rollout_plan import decisive_gate, expected_pass_rate, plan
from selfheal.optimizer.records.candidates import PlannedRelease
from selfheal.optimizer.rollout.release import SupersededError, carry_out
from selfheal.optimizer.state import State


async def release(state: State, runtime: Runtime[RuntimeContext]) -> State:
    """Release the candidate that a gate accepted, the best of several, or stage it for approval."""
    context = optimizer_context(runtime)
    async with context.database.connection() as connection:
        await healings.enter(connection, context.hold(state["healing_id"]), "release")
    gate = decisive_gate(state["gates"])
    winner = next(each for each in state["proposals"] if each["ordinal"] == gate["ordinal"])
    rollout, agent = context.settings.rollout, state["agent"]
    held = held_edits(state.get("edit_tests", []), gate["ordinal"])
    expected = expected_pass_rate(agent, state.get("detection"))
    decided = plan(rollout, agent, gate, expected, held)
    planned = PlannedRelease(
        rollout=rollout, action=decided.action, reason=decided.reason, void=None
    )
    version: int | None = None
    try:
        version = await carry_out(context, state, winner, decided)
    except SupersededError as error:
        planned["void"] = error.reason
    ended = outcomes.released(planned, gate["reason"])
    found = State(planned=planned, outcome=ended.outcome, reason=ended.reason)
    return found if planned["void"] else {**found, "to_version": version}
