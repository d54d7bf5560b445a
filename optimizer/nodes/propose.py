"""propose: earlier versions first, then what the chosen proposer makes of the findings."""

from collections.abc import Mapping
from typing import Any, Final

from langgraph.runtime import Runtime

from selfheal.db import healings, trials
from selfheal.db.encoding import storable
from selfheal.db.trials import Candidate
from selfheal.db.types import Origin
from selfheal.optimizer.context import Doctor, Given, doctor_of
from selfheal.optimizer.dataset.predecessors import restore_limits
from selfheal.optimizer.proposers.base import CandidateText
from selfheal.optimizer.proposers.registry import get_proposer
from selfheal.optimizer.proposers.toolkit import proposal_request
from selfheal.optimizer.state import EARLIER, EarlierVersion, Proposal, State, Version

ROUNDS: Final = 2
_WHY: Final[Mapping[str, str]] = {
    "proven": "version {version} was proven better than the incumbent before",
    "last_good": "version {version} did well before",
    "predecessor": "version {version} is what the incumbent replaced",
}


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
    """Propose what was live before: a prompt edited in a hurry is best reverted."""
    return [
        _proposal(
            each["origin"],
            1,
            each["text"],
            _WHY[each["origin"]].format(version=each["version"]),
            each["version"],
        )
        for each in _earlier(state)
    ]


def _earlier(state: State) -> list[EarlierVersion]:
    """Return the versions that were live before; what the judge's record shows as sound is one."""
    found = state["earlier"].get(state["agent"], [])
    good = state.get("last_good")
    if not good or any(_is_known(each, good) for each in found):
        return found
    others = [each for each in found if each["version"] != good["version"]]
    last_good = EarlierVersion(**good, origin="last_good")
    return sorted([*others, last_good], key=lambda each: EARLIER.index(each["origin"]))


def _is_known(earlier: EarlierVersion, good: Version) -> bool:
    return earlier["version"] == good["version"] and earlier["origin"] != "predecessor"


async def _proposed(doctor: Doctor, state: State, number: int) -> list[Proposal]:
    """Ask the proposer for a round."""
    name = doctor.rules.proposer
    drafts = await get_proposer(name).propose(await proposal_request(doctor, state, number))
    earlier = _earlier(state)
    return [_written(name, number, each, earlier[0] if earlier else None) for each in drafts]


def _written(
    origin: Origin, number: int, draft: CandidateText, earlier: EarlierVersion | None
) -> Proposal:
    """Propose what a model wrote, with the limits that the best earlier version set."""
    text, rationale = storable(draft.prompt.strip()), draft.rationale.strip()[:1000]
    if earlier:
        text, kept = restore_limits(text, earlier["text"])
        if kept:
            rationale = f"{rationale} Kept from version {earlier['version']}: {' '.join(kept)}"
    return _proposal(origin, number, text, rationale, None)


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
