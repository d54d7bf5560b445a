"""diagnose: patterns, root causes, suspected agent and suggestions, from training cases only."""

from langgraph.runtime import Runtime

from selfheal.db import healings
from selfheal.optimizer.context import RuntimeContext, optimizer_context
from selfheal.optimizer.evaluation.diagnosis import diagnosed
from selfheal.optimizer.state import State


async def diagnose(state: State, runtime: Runtime[RuntimeContext]) -> State:
    """Ask the model what the failures have in common, and whose prompt is the cause.

    Once that is decided, it is asked again where it had looked at another prompt.
    """
    context = optimizer_context(runtime)
    hold = context.hold(state["healing_id"])
    async with context.database.connection() as connection:
        await healings.enter(connection, hold, "diagnose")
    return State(findings=await diagnosed(context, state))
