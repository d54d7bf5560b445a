"""propose: the last good version first, then what the chosen proposer makes of the findings."""

from typing import Any, Final

from langgraph.runtime import Runtime

from db import healings, trials
from db.text import storable
from db.trials import Candidate, Origin
from optimizer.context import Doctor, Given, doctor_of
from optimizer.proposers.chosen import chosen
from optimizer.proposers.desk import brief_of
from optimizer.state import Proposal, State

ROUNDS: Final = 2


async def propose(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Add a round of proposals to the race."""
    doctor = doctor_of(runtime)
    hold = doctor.hold(state["healing_id"])
    async with doctor.database.connection() as connection:
        await healings.enter(connection, hold, "propose")
    number = state["round"] + 1
    old = state["proposals"]
    new = [*(_reverted(state) if number == 1 else []), *await _proposed(doctor, state, number)]
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


async def _proposed(doctor: Doctor, state: State, number: int) -> list[Proposal]:
    """Ask the proposer for a round."""
    name = doctor.rules.proposer
    drafts = await chosen(name).propose(await brief_of(doctor, state, number))
    return [
        _proposal(name, number, storable(each.prompt.strip()), each.rationale.strip()[:1000], None)
        for each in drafts
    ]


def _proposal(
    origin: Origin, number: int, text: str, rationale: str, version: int | None
) -> Proposal:
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
