"""gate: both prompts on work that neither has seen, until the evidence decides."""

from collections.abc import Sequence
from typing import Any, Final

from langgraph.runtime import Runtime

from db import healings
from optimizer import gate as rules
from optimizer.context import Given, doctor_of
from optimizer.course import Course, report
from optimizer.gate import Pair
from optimizer.harmless import course_for
from optimizer.state import Case, Proposal, State
from optimizer.trials import INCUMBENT, BudgetSpentError, Ledger, all_of

MOST_GATES: Final = 2


async def gate(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Replay hold-out, then regression, under both prompts, and decide."""
    doctor = doctor_of(runtime)
    async with doctor.database.connection() as connection:
        await healings.enter(connection, doctor.hold(state["healing_id"]), "gate")
    survivor = next(each for each in state["proposals"] if each["ordinal"] == state["survivor"])
    texts = {INCUMBENT: state["incumbent"]["text"], survivor["ordinal"]: survivor["text"]}
    ledger = await Ledger.read(doctor, state["healing_id"], state["agent"], texts)
    course, spent = await _run(ledger, survivor["ordinal"], state, doctor.rules.concurrency)
    reported = report(course, spent)
    return {
        "proposals": [
            _with_fate(each, reported) if each is survivor else each for each in state["proposals"]
        ],
        "gates": [*state["gates"], {"ordinal": survivor["ordinal"], **reported}],
    }


def _with_fate(proposal: Proposal, reported: dict[str, Any]) -> Proposal:
    fate, reason = rules.fate(reported["verdict"]), reported["reason"]
    return Proposal(**{**proposal, "fate": fate, "reason": reason})


async def _run(ledger: Ledger, arm: int, state: State, width: int) -> tuple[Course, str]:
    """Run pairs in a fixed order, a few at once, as long as they can still change the decision.

    Returns how far it came and, if the budget ended it, the words for that.
    """
    split = state["split"]
    cases = {case["id"]: case for case in (*split["hold_out"], *split["regression"])}
    course = course_for(
        state,
        [case["id"] for case in split["hold_out"]],
        [case["id"] for case in split["regression"]],
        width,
    )
    try:
        while batch := course.next():
            held = not course.proven
            found = await _pairs(ledger, arm, [cases[each] for each in batch], hold_out=held)
            course.add(len(batch), found)
    except BudgetSpentError as error:
        return course, str(error)
    return course, ""


async def _pairs(ledger: Ledger, arm: int, cases: Sequence[Case], *, hold_out: bool) -> list[Pair]:
    found = await all_of(*(_pair(ledger, arm, case, hold_out) for case in cases))
    return [pair for pair in found if pair]


async def _pair(ledger: Ledger, arm: int, case: Case, hold_out: bool) -> Pair | None:
    """Run a case under both prompts; a pair counts only if both have a verdict."""
    old, new = await all_of(ledger.trial("gate", INCUMBENT, case), ledger.trial("gate", arm, case))
    return rules.paired(case["id"], hold_out, old, new)
