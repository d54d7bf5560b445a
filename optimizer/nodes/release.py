"""release: the proven candidate becomes a version, and live."""

from dataclasses import asdict
from typing import Any

from langgraph.runtime import Runtime

from selfheal.db import healings
from selfheal.optimizer import outcomes
from selfheal.optimizer.context import Given, doctor_of
from selfheal.optimizer.rollout.release import SupersededError, carry_out, plan
from selfheal.optimizer.state import State


async def release(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Release the candidate that the gate accepted, or stage it for a person."""
    doctor = doctor_of(runtime)
    async with doctor.database.connection() as connection:
        await healings.enter(connection, doctor.hold(state["healing_id"]), "release")
    last = state["gates"][-1]
    winner = next(each for each in state["proposals"] if each["ordinal"] == last["ordinal"])
    planned = plan(doctor.rules.rollout, state["agent"], last["verdict"], last["incumbent_rate"])
    decided = {"rollout": doctor.rules.rollout, **asdict(planned), "void": ""}
    try:
        released = await carry_out(doctor, state, winner, planned)
    except SupersededError as error:
        return {"planned": {**decided, "void": str(error)}, **outcomes.void(str(error))._asdict()}
    return {
        "planned": decided,
        **outcomes.released(planned, last["reason"])._asdict(),
        "to_version": released.version,
    }
