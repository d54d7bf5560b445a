"""Whether a candidate is kept until there are cases to prove it on, and when it is tried again.

Golden cases may not ask what production asks: where a new kind of request fails, both prompts pass
them all. A candidate that helps on training cases is then not rejected. It is kept, and proven on
failures that come in later, which its writer has not seen. All gates of a kept candidate are one
sequential test: the results of the earlier ones count, so that its evidence reaches 100 by chance
in 1 % at most, however often it is tried.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from selfheal.db.reasons import Code, Reason, because
from selfheal.db.types import Agent, Origin
from selfheal.optimizer.records.candidates import (
    EditReport,
    GateReport,
    KeptCandidate,
    ScreenReport,
    ScreenResult,
)
from selfheal.optimizer.records.cases import Count
from selfheal.optimizer.statistics import FIRST_CASES, e_value, futile, hopeless, more_losses

MOST_AGE: Final = timedelta(days=7)
LEAST_NEW: Final = 3  # failures since its last gate, for another gate of the same candidate
MOST_NEW: Final = FIRST_CASES
_CLEAR: Final = 0.75  # of its trials a candidate passes, and the incumbent fails, at least
_LEAST_CASES: Final = 3
_LEAST_TRIALS: Final = 4
_HARM_AT: Final = 0.05
# The gate's verdicts that say that there is too little evidence. Any other says that there is harm.
_UNPROVEN: Final[tuple[Code, ...]] = ("not_shown_better", "better_but_unproven", "too_few_pairs")


def is_question(
    agent: Agent,
    origin: Origin,
    gate: GateReport,
    screens: Sequence[ScreenReport],
    production: Sequence[str],
    edit_tests: Sequence[EditReport] = (),
) -> bool:
    """Tell whether it is to be decided after a gate if its candidate is kept.

    Args:
        agent: whose prompt it is.
        origin: of the candidate.
        gate: its gate.
        screens: the screenings so far.
        production: ids of the held-out cases from production.
        edit_tests: the tests of edits so far.
    """
    if origin == "staged":
        return gate["verdict"] == "rejected" or gate["reason"]["code"] in _UNPROVEN
    screened = _screened(gate["ordinal"], screens, edit_tests)
    return _may_be_kept(agent, gate, screened, production)


def _may_be_kept(
    agent: Agent, gate: GateReport, screened: ScreenResult | None, production: Sequence[str]
) -> bool:
    """Tell whether a candidate that the gate did not accept may be worth keeping.

    It passed its screening clearly, nothing speaks against it, and its gate had too few production
    cases to prove it, even if it had gained on all of them. The evaluator's cases are not made
    from failures.
    """
    gains, losses = counted(gate, production)
    return (
        agent != "evaluator"
        and screened is not None
        and screened["of"] >= _LEAST_TRIALS
        and screened["cases"] >= _LEAST_CASES
        and screened["passed"] >= _CLEAR * screened["of"]
        and _is_unproven(gate)
        and hopeless(0, 0, len(production))
        and losses <= gains
    )


def decide(
    gate: GateReport,
    screens: Sequence[ScreenReport],
    production: Sequence[str],
    incumbent: Count,
    edit_tests: Sequence[EditReport] = (),
) -> tuple[bool, Reason]:
    """Decide whether a candidate is kept, once the incumbent ran on the same training cases.

    Their failures selected these cases, so that the incumbent may pass them when it is run again.

    Args:
        gate: its gate.
        screens: the screenings so far; the candidate is in one of them.
        production: ids of the held-out cases from production.
        incumbent: how many of these trials the incumbent passed, and of how many.
        edit_tests: the tests of edits so far.

    Returns:
        Whether it is kept, and why.
    """
    passed, of = incumbent
    screened = _screened(gate["ordinal"], screens, edit_tests)
    if screened is None or of < _LEAST_TRIALS or passed > (1 - _CLEAR) * of:
        return False, because("incumbent_passes_training", passed=passed, of=of)
    gains, losses = counted(gate, production)
    return True, because(
        "collecting_cases",
        passed=screened["passed"],
        of=screened["of"],
        incumbent_passed=passed,
        incumbent_of=of,
        gains=gains,
        losses=losses,
    )


def decide_again(gate: GateReport, production: Sequence[str]) -> tuple[bool, Reason]:
    """Decide whether a kept candidate that its gate did not accept is kept further.

    Args:
        gate: its gate, on the production cases of all its gates so far.
        production: ids of these cases.

    Returns:
        Whether it is kept, and why.
    """
    gains, losses = counted(gate, production)
    tried = len(tried_cases(gate, production))
    evidence = e_value(gains, losses)
    out_of_reach = futile(gains, losses, tried, MOST_NEW - tried)
    undecided = _is_unproven(gate) or gate["budget_spent"]
    if not undecided or (tried and (evidence <= 1 or out_of_reach)):
        return False, because("kept_candidate_failed", gains=gains, losses=losses, of=tried)
    return True, because("collecting_more_cases", gains=gains, losses=losses, of=tried)


def is_due(kept: KeptCandidate, fresh: int, since_last: int) -> bool:
    """Tell whether a kept candidate is to be tried now.

    Args:
        kept: the candidate.
        fresh: production cases that its gates have not used: with gains in all it must be proven.
        since_last: failed runs since its last healing. Cases may be fresh because their trials gave
            no verdict; that alone opens no other healing.
    """
    return since_last >= LEAST_NEW and not hopeless(kept["gains"], kept["losses"], fresh)


def is_expired(since: str, now: datetime) -> bool:
    """Tell whether a candidate was kept too long; `since` is when it was first kept, ISO 8601."""
    return now > datetime.fromisoformat(since) + MOST_AGE


def counted(gate: GateReport, production: Sequence[str]) -> Count:
    """Return (gains, losses) of a gate on held-out production cases."""
    pairs = [
        each
        for each in gate["pair_results"]
        if each["hold_out"] and each["case_id"] in {*production}
    ]
    gains = sum(each["candidate_passed"] and not each["incumbent_passed"] for each in pairs)
    losses = sum(each["incumbent_passed"] and not each["candidate_passed"] for each in pairs)
    return gains, losses


def tried_cases(gate: GateReport, production: Sequence[str]) -> list[str]:
    """Return the ids of the held-out production cases of a gate, in its order."""
    known = {*production}
    return [
        each["case_id"]
        for each in gate["pair_results"]
        if each["hold_out"] and each["case_id"] in known
    ]


def _is_unproven(gate: GateReport) -> bool:
    harm = more_losses(gate["gains"], gate["losses"]) < _HARM_AT
    return gate["reason"]["code"] in _UNPROVEN and not gate["budget_spent"] and not harm


def _screened(
    ordinal: int, screens: Sequence[ScreenReport], edit_tests: Sequence[EditReport]
) -> ScreenResult | None:
    """Return the screening of a candidate, or of the one that it was reduced from."""
    origin = {each["reduced"]: each["ordinal"] for each in edit_tests}
    ordinal = origin.get(ordinal, ordinal)
    found = [each for screen in screens for each in screen["results"] if each["ordinal"] == ordinal]
    return found[-1] if found else None
