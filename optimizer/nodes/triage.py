"""triage: count out what no prompt mends, open the healing, and see whether the judge is well."""

from typing import Any

from langgraph.config import get_config
from langgraph.runtime import Runtime

from db import healings
from optimizer import drift
from optimizer.context import Doctor, Given, doctor_of
from optimizer.state import State


async def triage(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Go on only with failures that a prompt may be to blame for, and only alone."""
    doctor = doctor_of(runtime)
    failures = len(state["failed_run_ids"])
    if not state.get("forced") and failures < doctor.rules.failure_threshold:
        errors = state["errors"]
        return {
            "outcome": "not_the_prompt",
            "reason": f"{errors} runs failed for want of the model, the judge or the sandbox,"
            f" {failures} by their quality",
        }
    healing_id = str(get_config()["configurable"]["thread_id"])
    async with doctor.database.connection() as connection:
        mine = await healings.open_(
            connection,
            doctor.hold(healing_id),
            agent=state["agent"],
            trigger=state.get("trigger", "request"),
            incumbent_version=state["incumbent"]["version"],
            lease=doctor.rules.lease_seconds,
        )
    if not mine:
        return {"outcome": "busy", "reason": "another healing is under way"}
    opened = {"healing_id": healing_id, "round": 0, "proposals": [], "gates": []}
    return {**opened, **await _judge(doctor, healing_id)}


async def _judge(doctor: Doctor, healing_id: str) -> dict[str, Any]:
    """Heal nothing by the word of a judge that has changed its mind."""
    finding = await drift.examine(doctor, healing_id)
    found: dict[str, Any] = {"judge": finding.as_json()}
    if finding.drifted:
        found |= {"outcome": "frozen", "reason": f"the judge has drifted: {finding.words()}"}
    return found
