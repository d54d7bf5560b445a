"""triage: count out what no prompt mends, open the healing, and see whether the judge is well."""

from typing import Any

from langgraph.config import get_config
from langgraph.runtime import Runtime

from selfheal.db import healings, prompts
from selfheal.optimizer import outcomes
from selfheal.optimizer.context import Doctor, Given, admit, doctor_of, traced_state
from selfheal.optimizer.evaluation import judge_drift
from selfheal.optimizer.state import State, Version, on_diet


async def triage(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Go on only with failures that a prompt may be to blame for, and only alone."""
    doctor = doctor_of(runtime)
    failures = len(state["failed_run_ids"])
    if not (state.get("forced") or on_diet(state)) and failures < doctor.rules.failure_threshold:
        return {"outcome": "not_the_prompt", "reason": _not_the_prompt(state)}
    healing_id = str(get_config()["configurable"]["thread_id"])
    first = state.get("agent", "worker")
    async with doctor.database.connection() as connection:
        mine = await healings.open_(
            connection,
            doctor.hold(healing_id),
            agent=first,
            trigger=state.get("trigger", "request"),
            incumbent_version=state["incumbents"][first]["version"],
            lease=doctor.rules.lease_seconds,
        )
    if not mine:
        return {"outcome": "busy", "reason": "another healing is under way"}
    begun = {"healing_id": healing_id, "asked_about": state.get("agent")}
    opened = {"round": 0, "proposals": [], "screens": [], "gates": []}
    # Until somebody is blamed, the worker is the one whose failures are looked at.
    admitted = {**await admit(doctor, healing_id, state, first), "blamed": "agent" in state}
    with traced_state(runtime, "triage", failed_run_ids=state["failed_run_ids"]) as found:
        found.update(await _judge(doctor, healing_id, state))
    return {**begun, **opened, **admitted, **found}


def _not_the_prompt(state: State) -> str:
    why = (
        f"{state['errors']} runs failed for want of the model, the judge or the sandbox,"
        f" {len(state['failed_run_ids'])} by their quality"
    )
    newest = state.get("newest_error")
    return f"{why}; the newest: {newest['outcome']}: {newest['message']}" if newest else why


async def _judge(doctor: Doctor, healing_id: str, state: State) -> dict[str, Any]:
    """Heal nothing by the word of a judge that has changed its mind.

    If it has a new prompt since it was sound, that prompt is what is broken: it is healed.
    """
    finding = await judge_drift.check_judge(doctor, healing_id)
    found: dict[str, Any] = {"judge": finding.as_json(), "opinions": dict(finding.opinions)}
    if judge_drift.blocks_healing(finding, state.get("agent"), diet=on_diet(state)):
        return {**found, **outcomes.frozen(finding)._asdict()}
    if not finding.drifted or finding.sound_version is None:
        return found
    async with doctor.database.connection() as connection:
        sound = await prompts.get(connection, "evaluator", finding.sound_version)
    goods = {
        **state["last_goods"],
        "evaluator": Version(version=sound.version, text=sound.text),
    }
    blamed: State = {**state, "last_goods": goods}
    return {**found, "last_goods": goods, **await admit(doctor, healing_id, blamed, "evaluator")}
