"""gate: both prompts on work that neither has seen, until the evidence decides."""

from collections.abc import Sequence
from typing import Any, Final

from langgraph.runtime import Runtime

from selfheal.app.aio import gather_all
from selfheal.db import healings
from selfheal.optimizer.context import Given, doctor_of
from selfheal.optimizer.evaluation.budget import BudgetSpentError
from selfheal.optimizer.evaluation.trials import (
    INCUMBENT,
    TrialStore,
    stored_versions,
)
from selfheal.optimizer.policy import superiority as rules
from selfheal.optimizer.policy.noninferiority import course_for
from selfheal.optimizer.policy.sequential_test import Course, report
from selfheal.optimizer.policy.superiority import Pair
from selfheal.optimizer.state import Case, Proposal, State

MOST_GATES: Final = 2


async def gate(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Replay hold-out, then regression, under both prompts, and decide."""
    doctor = doctor_of(runtime)
    async with doctor.database.connection() as connection:
        await healings.enter(connection, doctor.hold(state["healing_id"]), "gate")
    survivor = next(each for each in state["proposals"] if each["ordinal"] == state["survivor"])
    texts = {INCUMBENT: state["incumbent"]["text"], survivor["ordinal"]: survivor["text"]}
    known = {INCUMBENT: state["incumbent"]["version"], **stored_versions([survivor])}
    trial_store = await TrialStore.read(doctor, state["healing_id"], state["agent"], texts, known)
    course, spent = await _run(trial_store, survivor["ordinal"], state, doctor.rules.concurrency)
    reported = report(course, spent)
    return {
        "proposals": [
            _with_fate(each, reported) if each is survivor else each for each in state["proposals"]
        ],
        "gates": [*state["gates"], {"ordinal": survivor["ordinal"], **reported}],
        "unjudged": trial_store.unjudged(state),
    }


def _with_fate(proposal: Proposal, reported: dict[str, Any]) -> Proposal:
    fate, reason = rules.fate(reported["verdict"]), reported["reason"]
    return Proposal(**{**proposal, "fate": fate, "reason": reason})


async def _run(trial_store: TrialStore, arm: int, state: State, width: int) -> tuple[Course, str]:
    """Run pairs in a fixed order, a few at once, as long as they can still change the decision.

    Returns how far it came and, if the budget ended it, the words for that.
    """
    split = state["split"]
    cases = {case["id"]: case for case in (*split["hold_out"], *split["regression"])}
    course = course_for(
        state,
        (_ids(split["hold_out"]), _ids(split["regression"])),
        width,
        split["pinned"],
    )
    try:
        while batch := course.next():
            held = not course.proven
            asked = [cases[each] for each in batch]
            found = await _pairs(trial_store, arm, asked, split["pinned"], hold_out=held)
            course.add(len(batch), found)
    except BudgetSpentError as error:
        return course, str(error)
    return course, ""


def _ids(cases: Sequence[Case]) -> list[str]:
    return [case["id"] for case in cases]


async def _pairs(
    trial_store: TrialStore,
    arm: int,
    cases: Sequence[Case],
    pinned: Sequence[str],
    *,
    hold_out: bool,
) -> list[Pair]:
    async def one(case: Case) -> Pair | None:
        pair = await _pair(trial_store, arm, case, hold_out)
        while pair and rules.asks_again(pair, pinned):
            take = len(pair.again) + 1
            pair = rules.taken_again(pair, await trial_store.trial("gate", arm, case, take))
        return pair

    found = await gather_all(*map(one, cases))
    return [pair for pair in found if pair]


async def _pair(trial_store: TrialStore, arm: int, case: Case, hold_out: bool) -> Pair | None:
    """Run a case under both prompts; a pair counts only if both have a verdict."""
    old, new = await gather_all(
        trial_store.trial("gate", INCUMBENT, case), trial_store.trial("gate", arm, case)
    )
    return rules.paired(case["id"], hold_out, old, new)
