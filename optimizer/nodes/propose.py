"""propose: what needs no screening alone; then earlier versions, and what the proposer writes."""

from collections.abc import Sequence
from uuid import UUID

from langgraph.runtime import Runtime

from selfheal.db import healings, trials
from selfheal.db.encoding import storable
from selfheal.db.healings import Hold
from selfheal.db.pool import Connection
from selfheal.db.types import Origin
from selfheal.optimizer.context import OptimizerContext, RuntimeContext, optimizer_context
from selfheal.optimizer.nodes.shorten import candidate_row
from selfheal.optimizer.policy.screening import GOOD_RECORD
from selfheal.optimizer.proposers.registry import get_proposer
from selfheal.optimizer.proposers.toolkit import proposal_request
from selfheal.optimizer.records.candidates import KeptCandidate, Proposal
from selfheal.optimizer.records.cases import PREVIOUSLY_LIVE, EarlierVersion, Split, Version
from selfheal.optimizer.state import State


async def propose(state: State, runtime: Runtime[RuntimeContext]) -> State:
    """Add a round of proposals.

    Round 0 is a candidate with a good record, if there is one: it goes to the gate before any other
    is written or tried, and if it is accepted, none is.
    """
    context = optimizer_context(runtime)
    hold = context.hold(state["healing_id"])
    async with context.database.connection() as connection:
        await healings.enter(connection, hold, "propose")
    old = state["proposals"]
    reverted = _reverted(state)
    if not old and reverted and reverted[0]["origin"] in GOOD_RECORD:
        number, found = 0, [_of_round(0, reverted[0])]
    else:
        number = state["round"] + 1
        earlier = _untried(reverted, old) if number == 1 else []
        found = [*earlier, *await _generated(context, state, number)]
    new: list[Proposal] = [
        {**each, "ordinal": len(old) + place} for place, each in enumerate(found, 1)
    ]
    async with context.database.connection() as connection:
        for each in new:
            await trials.add_candidate(connection, candidate_row(state["healing_id"], each))
        if kept := state.get("kept_candidate"):
            await _continue(connection, hold, kept, state["split"])
    proposed = State(round=number, proposals=[*old, *new])
    return proposed if number else {**proposed, "survivor": new[0]["ordinal"]}


async def _continue(connection: Connection, hold: Hold, kept: KeptCandidate, split: Split) -> None:
    """Copy the gate's trials of a kept candidate, so that this gate continues with them."""
    held_out = [case["id"] for case in split["hold_out"] if case["id"] in kept["held_out"]]
    healing_id = UUID(kept["healing_id"])
    await trials.copy_gate(
        connection, healing_id, hold.id, arm=kept["ordinal"], to=1, cases=held_out
    )


def _of_round(number: int, proposal: Proposal) -> Proposal:
    return {**proposal, "round": number}


def _untried(reverted: Sequence[Proposal], tried: Sequence[Proposal]) -> list[Proposal]:
    known = {each["version"] for each in tried}
    return [each for each in reverted if each["version"] not in known]


def _reverted(state: State) -> list[Proposal]:
    """Propose what was live before: a prompt edited in a hurry is best reverted.

    A candidate that was kept by an earlier healing is tried alone.
    """
    if kept := state.get("kept_candidate"):
        return [_proposal("staged", 0, kept["text"], "", None)]
    return [
        _proposal(each["origin"], 1, each["text"], "", each["version"]) for each in _earlier(state)
    ]


def _earlier(state: State) -> list[EarlierVersion]:
    """Return the versions that were live before, and the one under which the judge was sound."""
    found = state["earlier"].get(state["agent"], [])
    good = state.get("last_good")
    if not good or any(_is_known(each, good) for each in found):
        return found
    others = [each for each in found if each["version"] != good["version"]]
    last_good = EarlierVersion(**good, origin="last_good")
    return sorted([*others, last_good], key=lambda each: PREVIOUSLY_LIVE.index(each["origin"]))


def _is_known(earlier: EarlierVersion, good: Version) -> bool:
    return earlier["version"] == good["version"] and earlier["origin"] != "predecessor"


async def _generated(context: OptimizerContext, state: State, number: int) -> list[Proposal]:
    """Ask the proposer for a round."""
    name = context.settings.proposer
    drafts = await get_proposer(name).propose(await proposal_request(context, state, number))
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
        reason=None,
    )
