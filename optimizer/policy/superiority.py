"""The superiority test: whether a candidate is better than the incumbent, by the pairs so far."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from selfheal.db.reasons import Reason, because
from selfheal.db.types import Trial
from selfheal.optimizer.state import Fate, Verdict
from selfheal.optimizer.statistics import (
    ACCEPT_AT,
    MARGIN,
    WORTH_A_LOOK,
    e_value,
    futile,
    hopeless,
    paired_difference,
)

MOST_CASES: Final = 60
FEWEST_PAIRS: Final = 30
MOST_TAKES: Final = 3
DEAD_RATE: Final = 0.2


@dataclass(frozen=True, slots=True)
class Pair:
    """One case under both prompts; scores from 0 to 1.

    Held-out pairs count for superiority, all pairs for non-inferiority.

    Attributes:
        repeats: of a case healed before that seems lost, whether the candidate passed it when it
            was run again; None where that gave no verdict.
    """

    case_id: str
    hold_out: bool
    incumbent_passed: bool
    candidate_passed: bool
    incumbent_score: float
    candidate_score: float
    repeats: tuple[bool | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What the pairs show.

    Attributes:
        difference: mean paired difference of scores, candidate less incumbent, -1 to 1.
        lower: its one-sided 95 % bound; None where there are too few pairs for one.
        incumbent_rate: the share of pairs that the incumbent passed, 0 to 1.
        candidate_rate: the share that the candidate passed.
    """

    verdict: Verdict
    reason: Reason
    pairs: int
    gains: int
    losses: int
    e_value: float
    difference: float
    lower: float | None
    incumbent_rate: float
    candidate_rate: float


def paired(case_id: str, hold_out: bool, old: Trial | None, new: Trial | None) -> Pair | None:
    """Return the pair that a case makes; None unless there is a verdict under both prompts."""
    if old is None or new is None:
        return None
    return Pair(case_id, hold_out, old.passed, new.passed, old.score, new.score)


def needs_repeat(pair: Pair, pinned: Collection[str]) -> bool:
    """Tell whether a case is to be run again under the candidate, before it counts as lost.

    Args:
        pair: what it came to so far.
        pinned: ids of the cases that were healed before.
    """
    lost = pair.incumbent_passed and not pair.candidate_passed
    undecided = len(pair.repeats) < MOST_TAKES - 1 and not lost_for_good(pair)
    return lost and undecided and pair.case_id in pinned


def lost_for_good(pair: Pair) -> bool:
    """Tell whether a case that was healed before is lost in 2 of 3 runs, the first included."""
    return any(passed is False for passed in pair.repeats)


def with_repeat(pair: Pair, trial: Trial | None) -> Pair:
    """Return the pair with another run under the candidate; None where it gave no verdict."""
    return replace(pair, repeats=(*pair.repeats, trial.passed if trial else None))


def healed_case_lost(pairs: Sequence[Pair]) -> Reason | None:
    """Return the reason to stop if a case that was healed before is lost; None if none is."""
    lost = next((pair.case_id for pair in pairs if lost_for_good(pair)), None)
    return because("healed_case_lost", case_id=lost, takes=MOST_TAKES) if lost else None


def fate(verdict: Verdict) -> Fate:
    """Return what becomes of a candidate by the gate's verdict."""
    return "accepted" if verdict == "accepted" else "gate"


def discordant(pairs: Sequence[Pair]) -> tuple[int, int]:
    """Return (gains, losses) over the held-out pairs."""
    held = [pair for pair in pairs if pair.hold_out]
    gains = sum(pair.candidate_passed and not pair.incumbent_passed for pair in held)
    losses = sum(pair.incumbent_passed and not pair.candidate_passed for pair in held)
    return gains, losses


def superior(pairs: Sequence[Pair]) -> bool:
    """Tell whether the evidence that the candidate is better suffices."""
    return e_value(*discordant(pairs)) >= ACCEPT_AT


def cannot_prove(pairs: Sequence[Pair], left: int) -> bool:
    """Tell whether no outcome of the `left` cases could bring the evidence."""
    return hopeless(*discordant(pairs), left)


def improbable_proof(pairs: Sequence[Pair], left: int) -> bool:
    """Tell whether the `left` cases could bring the evidence only against all seen so far."""
    return futile(*discordant(pairs), sum(pair.hold_out for pair in pairs), left)


def decide(pairs: Sequence[Pair]) -> Decision:
    """Decide after the last pair: superior on hold-out, and not inferior over all pairs."""
    gains, losses = discordant(pairs)
    evidence = e_value(gains, losses)
    difference = paired_difference([p.candidate_score - p.incumbent_score for p in pairs])
    verdict, reason = _verdict(evidence, gains, losses, len(pairs), difference.lower)
    if lost := healed_case_lost(pairs):
        verdict, reason = "rejected", lost
    return Decision(
        verdict=verdict,
        reason=reason,
        pairs=len(pairs),
        gains=gains,
        losses=losses,
        e_value=round(evidence, 4),
        difference=round(difference.mean, 4),
        lower=bound(difference.lower),
        incumbent_rate=_rate([pair.incumbent_passed for pair in pairs]),
        candidate_rate=_rate([pair.candidate_passed for pair in pairs]),
    )


def bound(lower: float) -> float | None:
    """Return a bound to 4 digits; None for an infinite one, which JSON cannot express."""
    return None if lower == float("-inf") else round(lower, 4)


def _verdict(
    evidence: float, gains: int, losses: int, pairs: int, lower: float
) -> tuple[Verdict, Reason]:
    e = round(evidence, 4)
    by = round(max(-lower, 0.0), 4)
    if evidence < ACCEPT_AT:
        if gains > losses and evidence >= WORTH_A_LOOK:
            return "undecided", _unproven("better_but_unproven", gains, losses, e)
        return "rejected", _unproven("not_shown_better", gains, losses, e)
    if pairs < FEWEST_PAIRS:
        return "undecided", because(
            "too_few_pairs", gains=gains, losses=losses, pairs=pairs, needed=FEWEST_PAIRS
        )
    if lower <= -MARGIN:
        return "rejected", because("may_score_lower", gains=gains, losses=losses, by=by)
    return "accepted", because("proven", gains=gains, losses=losses, e_value=e, by=by)


def _unproven(
    code: Literal["better_but_unproven", "not_shown_better"], gains: int, losses: int, e: float
) -> Reason:
    return because(code, gains=gains, losses=losses, e_value=e, needed=int(ACCEPT_AT))


def _rate(passed: Sequence[bool]) -> float:
    return round(sum(passed) / len(passed), 4) if passed else 0.0
