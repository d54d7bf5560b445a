"""gate: both prompts on work that neither has seen, until the evidence decides."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from langgraph.runtime import Runtime

from db import healings
from optimizer import gate as rules
from optimizer.context import Given, doctor_of
from optimizer.gate import Decision, Pair
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
    ledger = await Ledger.read(doctor, state["healing_id"], texts)
    pairs, spent = await _replay(ledger, survivor["ordinal"], state, doctor.rules.concurrency)
    decision = rules.decide(pairs)
    if spent:
        decision = replace(decision, reason=f"{decision.reason}; {BudgetSpentError()}")
    return {
        "proposals": [
            _with_fate(each, decision) if each is survivor else each for each in state["proposals"]
        ],
        "gates": [
            *state["gates"],
            {"ordinal": survivor["ordinal"], "budget_spent": spent, **decision.as_json()},
        ],
    }


def _with_fate(proposal: Proposal, decision: Decision) -> Proposal:
    fate = "accepted" if decision.verdict == "accepted" else "gate"
    return Proposal(**{**proposal, "fate": fate, "reason": decision.reason})  # type: ignore[typeddict-item]


async def _replay(ledger: Ledger, arm: int, state: State, width: int) -> tuple[list[Pair], bool]:
    """Run pairs in a fixed order, a few at once, as long as they can still change the decision.

    Returns the pairs with verdicts on both sides, and whether the budget ended it.
    """
    hold_out = state["split"]["hold_out"][: rules.MOST_CASES]
    pairs: list[Pair] = []
    try:
        for batch, left in _batches(hold_out, width):
            if rules.superior(pairs) or rules.beyond_hope(pairs, left + len(batch)):
                break
            pairs += await _pairs(ledger, arm, batch, hold_out=True)
        if rules.superior(pairs):
            seen = {pair.case_id for pair in pairs}
            rest = [*state["split"]["regression"], *(c for c in hold_out if c["id"] not in seen)]
            for batch, _ in _batches(rest, width):
                if len(pairs) >= rules.FEWEST_PAIRS:
                    break
                pairs += await _pairs(ledger, arm, batch, hold_out=False)
    except BudgetSpentError:
        return pairs, True
    return pairs, False


def _batches(cases: Sequence[Case], width: int) -> Iterator[tuple[Sequence[Case], int]]:
    """Yield so many cases at a time, and how many come after them."""
    for start in range(0, len(cases), width):
        batch = cases[start : start + width]
        yield batch, len(cases) - start - len(batch)


async def _pairs(ledger: Ledger, arm: int, cases: Sequence[Case], *, hold_out: bool) -> list[Pair]:
    found = await all_of(*(_pair(ledger, arm, case, hold_out) for case in cases))
    return [pair for pair in found if pair]


async def _pair(ledger: Ledger, arm: int, case: Case, hold_out: bool) -> Pair | None:
    """Run a case under both prompts; a pair counts only if both have a verdict."""
    old, new = await all_of(ledger.trial("gate", INCUMBENT, case), ledger.trial("gate", arm, case))
    if old is None or new is None:
        return None
    return Pair(case["id"], hold_out, old.passed, new.passed, old.score, new.score)
