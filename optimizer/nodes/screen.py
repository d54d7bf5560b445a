"""screen: a few train cases each; clear losers go, one survivor reaches the gate."""

import asyncio
from typing import Any

from langgraph.runtime import Runtime

from selfheal.app.aio import gather_all
from selfheal.db import healings
from selfheal.db.types import Trial
from selfheal.optimizer.context import Doctor, Given, doctor_of
from selfheal.optimizer.evaluation.trials import Ledger, stored
from selfheal.optimizer.policy import screening as rules
from selfheal.optimizer.state import EARLIER, Proposal, State


async def screen(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Let the proposals that are still in the race run on train cases; keep the best."""
    doctor = doctor_of(runtime)
    async with doctor.database.connection() as connection:
        await healings.enter(connection, doctor.hold(state["healing_id"]), "screen")
    racing = [each for each in state["proposals"] if not each["fate"]]
    texts = {each["ordinal"]: each["text"] for each in racing}
    ledger = await Ledger.read(doctor, state["healing_id"], state["agent"], texts, stored(racing))
    results = await _race(doctor, ledger, state, list(texts))
    least = rules.bar(state["agent"], state["judge"]["usual"])
    proven = {each["ordinal"] for each in racing if each["origin"] in EARLIER}
    reported = {"round": state["round"], **rules.report(results, proven, least)}
    return {
        "proposals": [_with_fate(each, reported) for each in state["proposals"]],
        "survivor": reported["survivor"],
        "unjudged": ledger.unjudged(state),
        "screens": [*state.get("screens", []), reported],
    }


async def _race(
    doctor: Doctor, ledger: Ledger, state: State, arms: list[int]
) -> dict[int, list[Trial]]:
    places = asyncio.Semaphore(doctor.rules.concurrency)
    cases = state["split"]["train"][: rules.CASES[state["agent"]]]

    async def one(arm: int, case: Any) -> tuple[int, Trial | None]:
        async with places:
            return arm, await ledger.trial("screen", arm, case)

    tried = await gather_all(*(one(arm, case) for arm in arms for case in cases))
    return {arm: [trial for at, trial in tried if at == arm and trial] for arm in arms}


def _with_fate(proposal: Proposal, reported: dict[str, Any]) -> Proposal:
    """Give a fate to all that raced but the best."""
    ordinal = proposal["ordinal"]
    own = next((each for each in reported["results"] if each["ordinal"] == ordinal), None)
    if own is None or ordinal == reported["survivor"]:
        return proposal
    reason = rules.lost(own["passed"], own["of"])
    return Proposal(**{**proposal, "fate": "screen", "reason": reason})
