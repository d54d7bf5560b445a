"""The superiority test: whether a candidate is better than the incumbent, by the pairs so far."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from selfheal.db.reasons import Reason, because
from selfheal.db.types import Trial
from selfheal.optimizer.records.candidates import Fate, Verdict
from selfheal.optimizer.statistics import (
    ACCEPT_AT,
    NOT_INFERIOR_AT,
    WORTH_A_LOOK,
    e_value,
    futile,
    hopeless,
    non_inferiority_value,
    paired_difference,
)

FEWEST_PAIRS: Final = 12
MOST_TAKES: Final = 3
DEAD_RATE: Final = 0.2


@dataclass(frozen=True, slots=True)
class Pair:
    """One case under both prompts; scores from 0 to 1.

    Held-out pairs count for superiority, all pairs for non-inferiority.

    Attributes:
        incumbent_tokens: of the call that the incumbent was used in; None if unknown.
        candidate_tokens: of the call that the candidate was used in.
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
    incumbent_tokens: int | None = None
    candidate_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What the pairs show.

    Attributes:
        needed: the e-value that proves superiority.
        w_value: the evidence that scores are not lower; None where a bound decides that.
        difference: mean paired difference of scores, candidate less incumbent, -1 to 1.
        lower: its one-sided bound, where it decides; None also where there are too few pairs.
        incumbent_rate: the share of pairs that the incumbent passed, 0 to 1.
        candidate_rate: the share that the candidate passed.
    """

    verdict: Verdict
    reason: Reason
    pairs: int
    gains: int
    losses: int
    e_value: float
    needed: float
    w_value: float | None
    difference: float
    lower: float | None
    incumbent_rate: float
    candidate_rate: float


def paired(case_id: str, hold_out: bool, old: Trial | None, new: Trial | None) -> Pair | None:
    """Return the pair that a case makes; None unless there is a verdict under both prompts."""
    if old is None or new is None:
        return None
    return Pair(
        case_id,
        hold_out,
        old.passed,
        new.passed,
        old.score,
        new.score,
        incumbent_tokens=old.tokens,
        candidate_tokens=new.tokens,
    )


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


def superior(pairs: Sequence[Pair], needed: float = ACCEPT_AT) -> bool:
    """Tell whether the evidence that the candidate is better suffices."""
    return e_value(*discordant(pairs)) >= needed


def cannot_prove(pairs: Sequence[Pair], left: int, needed: float = ACCEPT_AT) -> bool:
    """Tell whether no outcome of the `left` cases could bring the evidence."""
    return hopeless(*discordant(pairs), left, needed)


def improbable_proof(pairs: Sequence[Pair], left: int, needed: float = ACCEPT_AT) -> bool:
    """Tell whether the `left` cases could bring the evidence only against all seen so far."""
    return futile(*discordant(pairs), sum(pair.hold_out for pair in pairs), left, needed)


def differences(pairs: Sequence[Pair]) -> list[float]:
    """Return the differences of scores, candidate less incumbent, -1 to 1."""
    return [pair.candidate_score - pair.incumbent_score for pair in pairs]


def not_inferior(pairs: Sequence[Pair]) -> bool:
    """Tell whether the evidence suffices that scores are not lower by 0.10 or more."""
    enough = len(pairs) >= FEWEST_PAIRS
    return enough and non_inferiority_value(differences(pairs)) >= NOT_INFERIOR_AT


def cannot_show_not_inferior(pairs: Sequence[Pair], left: int) -> bool:
    """Tell whether the `left` cases could show it only against all seen so far.

    They are given the highest plausible mean difference: the upper 97.5 % bound of those seen.
    """
    seen = differences(pairs)
    best = min(-paired_difference([-each for each in seen], 0.975).lower, 1.0)
    return non_inferiority_value([*seen, *[best] * left]) < NOT_INFERIOR_AT


def decide(
    pairs: Sequence[Pair], needed: float = ACCEPT_AT, objection: Reason | None = None
) -> Decision:
    """Decide after the last pair: superior on hold-out, and not inferior over all pairs.

    Args:
        pairs: all so far.
        needed: the e-value that proves superiority.
        objection: why a candidate that is superior needs approval all the same.
    """
    gains, losses = discordant(pairs)
    evidence = e_value(gains, losses)
    scores = differences(pairs)
    w_value = round(non_inferiority_value(scores), 4)
    if evidence < needed:
        verdict, reason = _unproven(gains, losses, round(evidence, 4), int(needed))
    else:
        verdict, reason = _proven(pairs, round(evidence, 4), w_value, objection)
    if lost := healed_case_lost(pairs):
        verdict, reason = "rejected", lost
    return Decision(
        verdict=verdict,
        reason=reason,
        pairs=len(pairs),
        gains=gains,
        losses=losses,
        e_value=round(evidence, 4),
        needed=needed,
        w_value=w_value,
        difference=round(paired_difference(scores).mean, 4),
        lower=None,
        incumbent_rate=_rate([pair.incumbent_passed for pair in pairs]),
        candidate_rate=_rate([pair.candidate_passed for pair in pairs]),
    )


def bound(lower: float) -> float | None:
    """Return a bound to 4 digits; None for an infinite one, which JSON cannot express."""
    return None if lower == float("-inf") else round(lower, 4)


def _unproven(gains: int, losses: int, evidence: float, needed: int) -> tuple[Verdict, Reason]:
    code: Literal["better_but_unproven", "not_shown_better"] = "not_shown_better"
    if gains > losses and evidence >= WORTH_A_LOOK:
        code = "better_but_unproven"
    reason = because(code, gains=gains, losses=losses, e_value=evidence, needed=needed)
    return "undecided" if code == "better_but_unproven" else "rejected", reason


def _proven(
    pairs: Sequence[Pair], evidence: float, w_value: float, objection: Reason | None
) -> tuple[Verdict, Reason]:
    """Decide on a candidate that is superior."""
    gains, losses = discordant(pairs)
    counted = {"gains": gains, "losses": losses}
    if len(pairs) < FEWEST_PAIRS:
        few = because("too_few_pairs", **counted, pairs=len(pairs), needed=FEWEST_PAIRS)
        return "undecided", few
    if not not_inferior(pairs):
        open_ = w_value >= 1
        return "undecided" if open_ else "rejected", because(
            "may_score_lower", **counted, w_value=w_value, needed=int(NOT_INFERIOR_AT)
        )
    if objection:
        return "undecided", objection
    return "accepted", because("proven", **counted, e_value=evidence, w_value=w_value)


def _rate(passed: Sequence[bool]) -> float:
    return round(sum(passed) / len(passed), 4) if passed else 0.0
