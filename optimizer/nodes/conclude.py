"""conclude: one outcome, one receipt."""

from typing import Any

from langgraph.runtime import Runtime

from selfheal.db import healings, trials
from selfheal.db.healings import Closing
from selfheal.db.pool import Connection
from selfheal.optimizer import outcomes
from selfheal.optimizer.context import Given, doctor_of
from selfheal.optimizer.receipt.build import receipt
from selfheal.optimizer.state import State


async def conclude(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Close the healing with its receipt."""
    doctor = doctor_of(runtime)
    hold = doctor.hold(state["healing_id"])
    ended = ending(state)
    to_version = state.get("to_version")

    async def close(connection: Connection) -> None:
        if not await healings.holds(connection, hold):
            return
        healing = await healings.get(connection, hold.id)
        tried = await trials.trials(connection, hold.id)
        costs = await healings.costs(connection, hold.id)
        written = receipt(state, healing, tried, costs, **ended)
        closing = Closing(ended["outcome"], ended["reason"], written, to_version)
        await healings.close(connection, hold, closing)

    await doctor.database.run(close)
    return ended


def ending(state: State) -> dict[str, Any]:
    """Return outcome and reason: those that a state gave, or what follows from the gates."""
    if outcome := state.get("outcome"):
        return {"outcome": outcome, "reason": state.get("reason", "")}
    return outcomes.rejected(state["gates"], state["proposals"], state.get("unjudged"))._asdict()
