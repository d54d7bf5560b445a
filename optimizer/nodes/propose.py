"""propose: the last good version first, then what the writer makes of the findings."""

import json
from typing import Any, Final

from langgraph.runtime import Runtime
from pydantic import BaseModel, Field

from db import healings, trials
from db.text import storable
from db.trials import Candidate
from graph.fence import RULE, fence
from optimizer.context import Doctor, Given, doctor_of
from optimizer.instructions import load
from optimizer.spending import fill
from optimizer.state import Proposal, State
from optimizer.trials import all_of

ROUNDS: Final = 2
WRITTEN_A_ROUND: Final = 2
_MANNERS: Final = (
    "Make bounded edits: keep the sentences that work, change those that do not.",
    "If the prompt is beyond repair, rewrite it from the ground up for the same job.",
)


class Draft(BaseModel):
    """A prompt that should replace the present one."""

    prompt: str = Field(description="The whole new prompt, ready to use")
    rationale: str = Field(description="What was changed, and why")


async def propose(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Add a round of proposals to the race."""
    doctor = doctor_of(runtime)
    hold = doctor.hold(state["healing_id"])
    async with doctor.database.connection() as connection:
        await healings.enter(connection, hold, "propose")
    number = state["round"] + 1
    old = state["proposals"]
    new = [*(_reverted(state) if number == 1 else []), *await _written(doctor, state, number)]
    new = [{**each, "ordinal": len(old) + place} for place, each in enumerate(new, 1)]
    async with doctor.database.connection() as connection:
        for each in new:
            candidate = Candidate(
                healing_id=hold.id,
                ordinal=each["ordinal"],
                round=number,
                origin=each["origin"],
                text=each["text"],
                rationale=each["rationale"],
            )
            await trials.add_candidate(connection, candidate)
    return {"round": number, "proposals": [*old, *new]}


def _reverted(state: State) -> list[Proposal]:
    """Propose the last good version: a prompt edited in a hurry is best reverted."""
    good = state.get("last_good")
    if not good:
        return []
    rationale = f"version {good['version']} did well before"
    return [_proposal("last_good", 1, good["text"], rationale, good["version"])]


async def _written(doctor: Doctor, state: State, number: int) -> list[Proposal]:
    """Ask the writer, each time in another manner."""
    manners = _MANNERS[:WRITTEN_A_ROUND]
    drafts: list[Draft] = await all_of(*(_draft(doctor, state, manner) for manner in manners))
    return [
        _proposal(
            "writer", number, storable(each.prompt.strip()), each.rationale.strip()[:1000], None
        )
        for each in drafts
    ]


async def _draft(doctor: Doctor, state: State, manner: str) -> Draft:
    findings = state["findings"]
    said = [*findings["root_causes"], *findings["suggestions"]]
    parts = [
        RULE,
        f"This is the {state['agent']}'s prompt. {manner}",
        fence("prompt", state["incumbent"]["text"]),
        "What the diagnostician found:",
        fence("findings", json.dumps(said, indent=1)),
    ]
    if rejected := _rejected(state):
        parts += [
            "These were rejected; write something else:",
            fence("rejected", json.dumps(rejected, indent=1)),
        ]
    return await fill(doctor, state["healing_id"], load("write"), "\n\n".join(parts), Draft)


def _rejected(state: State) -> list[dict[str, str]]:
    """Tell what became of earlier proposals; of the gate, only that it rejected."""
    return [
        {"prompt": each["text"], "reason": "rejected" if each["fate"] == "gate" else each["reason"]}
        for each in state["proposals"]
        if each["origin"] == "writer" and each["fate"]
    ]


def _proposal(origin: Any, number: int, text: str, rationale: str, version: int | None) -> Proposal:
    return Proposal(
        ordinal=0,
        round=number,
        origin=origin,
        version=version,
        text=text,
        rationale=rationale,
        fate="",
        reason="",
    )
