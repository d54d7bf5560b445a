"""What the gate decides from the pairs seen so far: pure, so that a receipt can be recomputed."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

from selfheal.db.types import Trial
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

Verdict = Literal["accepted", "rejected", "undecided"]


@dataclass(frozen=True, slots=True)
class Pair:
    """One case under both prompts. `hold_out` pairs count for superiority, all for the rest.

    `again`: of a case that was healed before and seems lost, whether the candidate passed it when
    it was run again; null where that gave no verdict.
    """

    case_id: str
    hold_out: bool
    incumbent_passed: bool
    candidate_passed: bool
    incumbent_score: float
    candidate_score: float
    again: tuple[bool | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What the pairs say. Scores from 0 to 1; `lower` is the one-sided 95 % bound."""

    verdict: Verdict
    reason: str
    pairs: int
    gains: int
    losses: int
    e_value: float
    difference: float
    lower: float
    incumbent_rate: float
    candidate_rate: float

    def as_json(self) -> dict[str, Any]:
        """Return the decision as plain JSON; an unknown bound is null."""
        plain = asdict(self)
        return {**plain, "lower": None if self.lower == float("-inf") else self.lower}


def paired(case_id: str, hold_out: bool, old: Trial | None, new: Trial | None) -> Pair | None:
    """Return the pair that a case makes; None unless there is a verdict under both prompts."""
    if old is None or new is None:
        return None
    return Pair(case_id, hold_out, old.passed, new.passed, old.score, new.score)


def asks_again(pair: Pair, pinned: Collection[str]) -> bool:
    """Tell whether a case is to be run again under the candidate, before it counts as lost.

    Args:
        pair: what it came to so far.
        pinned: ids of the cases that were healed before.
    """
    lost = pair.incumbent_passed and not pair.candidate_passed
    undecided = len(pair.again) < MOST_TAKES - 1 and not lost_for_good(pair)
    return lost and undecided and pair.case_id in pinned


def lost_for_good(pair: Pair) -> bool:
    """Tell whether a case that was healed before is lost in 2 of 3 takes, the first included."""
    return any(passed is False for passed in pair.again)


def taken_again(pair: Pair, trial: Trial | None) -> Pair:
    """Return the pair with another take under the candidate."""
    return replace(pair, again=(*pair.again, trial.passed if trial else None))


def undone(pairs: Sequence[Pair]) -> str:
    """Say that a case that was healed before is lost, if one is."""
    lost = next((pair.case_id for pair in pairs if lost_for_good(pair)), "")
    return f"{lost}, healed before, is lost in 2 of {MOST_TAKES}" if lost else ""


def fate(verdict: Verdict) -> Literal["accepted", "gate"]:
    """Return what becomes of a candidate by the gate's verdict."""
    return "accepted" if verdict == "accepted" else "gate"


def counts(pairs: Sequence[Pair]) -> tuple[int, int]:
    """Return gains and losses over the hold-out pairs."""
    held = [pair for pair in pairs if pair.hold_out]
    gains = sum(pair.candidate_passed and not pair.incumbent_passed for pair in held)
    losses = sum(pair.incumbent_passed and not pair.candidate_passed for pair in held)
    return gains, losses


def superior(pairs: Sequence[Pair]) -> bool:
    """Tell whether the evidence that the candidate is better suffices."""
    return e_value(*counts(pairs)) >= ACCEPT_AT


def beyond_hope(pairs: Sequence[Pair], left: int) -> bool:
    """Tell whether no outcome of the cases left could bring the evidence."""
    return hopeless(*counts(pairs), left)


def beyond_belief(pairs: Sequence[Pair], left: int) -> bool:
    """Tell whether the cases left could bring the evidence only against all that is seen so far."""
    return futile(*counts(pairs), sum(pair.hold_out for pair in pairs), left)


def decide(pairs: Sequence[Pair]) -> Decision:
    """Decide after the last pair: superior on hold-out, and not inferior over all pairs."""
    gains, losses = counts(pairs)
    evidence = e_value(gains, losses)
    difference = paired_difference([p.candidate_score - p.incumbent_score for p in pairs])
    verdict, reason = _verdict(evidence, gains, losses, len(pairs), difference.lower)
    if lost := undone(pairs):
        verdict, reason = "rejected", lost
    return Decision(
        verdict=verdict,
        reason=reason,
        pairs=len(pairs),
        gains=gains,
        losses=losses,
        e_value=round(evidence, 4),
        difference=round(difference.mean, 4),
        lower=difference.lower if difference.lower == float("-inf") else round(difference.lower, 4),
        incumbent_rate=_rate([pair.incumbent_passed for pair in pairs]),
        candidate_rate=_rate([pair.candidate_passed for pair in pairs]),
    )


def _verdict(
    evidence: float, gains: int, losses: int, pairs: int, lower: float
) -> tuple[Verdict, str]:
    seen = f"{gains} gains, {losses} losses"
    if evidence < ACCEPT_AT:
        if gains > losses and evidence >= WORTH_A_LOOK:
            return "undecided", f"better, but not proven: {seen} (e = {evidence:.3g} of 100)"
        return "rejected", f"not shown to be better: {seen} (e = {evidence:.3g} of 100)"
    if pairs < FEWEST_PAIRS:
        return (
            "undecided",
            f"better ({seen}), but only {pairs} of {FEWEST_PAIRS} pairs have verdicts",
        )
    if lower <= -MARGIN:
        return "rejected", f"better on hold-out ({seen}), but may score lower by {-lower:.2f}"
    return (
        "accepted",
        f"{seen} (e = {evidence:.3g}), score not lower by more than {max(-lower, 0):.2f}",
    )


def _rate(passed: Sequence[bool]) -> float:
    return round(sum(passed) / len(passed), 4) if passed else 0.0
