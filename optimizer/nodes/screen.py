"""screen: a few train cases each; clear losers go, one survivor reaches the gate."""

import asyncio
from typing import Any, Final

from langgraph.runtime import Runtime

from db import healings
from db.trials import Trial
from optimizer.context import Doctor, Given, doctor_of
from optimizer.state import Proposal, State
from optimizer.trials import Ledger, all_of

CASES: Final = 6


async def screen(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Let the proposals that are still in the race run on train cases; keep the best."""
    doctor = doctor_of(runtime)
    async with doctor.database.connection() as connection:
        await healings.enter(connection, doctor.hold(state["healing_id"]), "screen")
    racing = [each for each in state["proposals"] if not each["fate"]]
    texts = {each["ordinal"]: each["text"] for each in racing}
    ledger = await Ledger.read(doctor, state["healing_id"], texts)
    results = await _race(doctor, ledger, state, list(texts))
    return _judged(state["proposals"], results)


async def _race(
    doctor: Doctor, ledger: Ledger, state: State, arms: list[int]
) -> dict[int, list[Trial]]:
    places = asyncio.Semaphore(doctor.rules.concurrency)
    cases = state["split"]["train"][:CASES]

    async def one(arm: int, case: Any) -> tuple[int, Trial | None]:
        async with places:
            return arm, await ledger.trial("screen", arm, case)

    tried = await all_of(*(one(arm, case) for arm in arms for case in cases))
    return {arm: [trial for at, trial in tried if at == arm and trial] for arm in arms}


def _judged(proposals: list[Proposal], results: dict[int, list[Trial]]) -> dict[str, Any]:
    """Give a fate to all but the best: most passes, then what did well before, then score."""
    proven = {each["ordinal"] for each in proposals if each["origin"] == "last_good"}

    def merit(arm: int) -> tuple[float, bool, float, int]:
        passed, score = _merit(results[arm])
        return passed, arm in proven, score, -arm

    ranked = sorted(results, key=merit, reverse=True)
    survivor = next((arm for arm in ranked if any(t.passed for t in results[arm])), None)
    judged = [
        each
        if each["ordinal"] not in results or each["ordinal"] == survivor
        else _lost(each, results[each["ordinal"]])
        for each in proposals
    ]
    return {"proposals": judged, "survivor": survivor}


def _merit(trials: list[Trial]) -> tuple[float, float]:
    count = max(len(trials), 1)
    return (
        sum(trial.passed for trial in trials) / count,
        sum(trial.score for trial in trials) / count,
    )


def _lost(proposal: Proposal, trials: list[Trial]) -> Proposal:
    passed = sum(trial.passed for trial in trials)
    reason = f"passed {passed} of {len(trials)} train cases"
    return Proposal(**{**proposal, "fate": "screen", "reason": reason})
