"""Whose prompt is healed: everything that depends on it is set in one place."""

from typing import Any

from db import healings
from db.prompts import Agent
from optimizer.context import Doctor
from optimizer.state import State


async def admit(doctor: Doctor, healing_id: str, state: State, agent: Agent) -> dict[str, Any]:
    """Make an agent the one whose prompt this healing is about; return what the state adds."""
    incumbent = state["incumbents"][agent]
    async with doctor.database.connection() as connection:
        await healings.blame(connection, doctor.hold(healing_id), agent, incumbent["version"])
    return {
        "agent": agent,
        "blamed": True,
        "incumbent": incumbent,
        "last_good": state["last_goods"].get(agent),
    }
