"""conclude: one outcome, one receipt."""

from langgraph.runtime import Runtime

from selfheal.db import healings, trials
from selfheal.db.healings import Closing, Hold
from selfheal.db.pool import Connection
from selfheal.optimizer import outcomes
from selfheal.optimizer.context import RuntimeContext, optimizer_context
from selfheal.optimizer.outcomes import Ending
from selfheal.optimizer.receipt.build import receipt
from selfheal.optimizer.state import State


async def conclude(state: State, runtime: Runtime[RuntimeContext]) -> State:
    """Close the healing with its receipt."""
    context = optimizer_context(runtime)
    hold = context.hold(state["healing_id"])
    ended = _ending(state)

    async def close(connection: Connection) -> None:
        if await healings.holds(connection, hold):
            await close_healing(connection, hold, state, ended)

    await context.database.run(close)
    return State(outcome=ended.outcome, reason=ended.reason)


async def close_healing(
    connection: Connection, hold: Hold, state: State, ended: Ending, *, gave_up: bool = False
) -> None:
    """Close a healing that is held, with its receipt. Call it in a transaction.

    Args:
        connection: of the transaction in which the hold was checked.
        hold: the right to write to the healing.
        state: what its states found.
        ended: how it ends.
        gave_up: an error or the budget ended it.
    """
    healing = await healings.get(connection, hold.id)
    tried = await trials.trials(connection, hold.id)
    costs = await healings.costs(connection, hold.id)
    written = receipt(state, healing, tried, costs, ended, gave_up=gave_up)
    to_version = state.get("to_version")
    closing = Closing(ended.outcome, ended.reason, written, to_version, errored=gave_up)
    await healings.close(connection, hold, closing)


def _ending(state: State) -> Ending:
    """Return the ending that a state decided on, or the one that follows from the gates."""
    if "outcome" in state:
        return Ending(state["outcome"], state["reason"])  # type: ignore[arg-type]
    return outcomes.rejected(state["gates"], state["proposals"], state.get("unjudged"))
