"""The gate of a diet: that a shorter prompt is no worse. Pure, as the other gate is."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from selfheal.optimizer.policy.sequential_test import Course
from selfheal.optimizer.policy.superiority import (
    FEWEST_PAIRS,
    MOST_CASES,
    Decision,
    Pair,
    Verdict,
    counts,
    decide,
    undone,
)
from selfheal.optimizer.state import on_diet
from selfheal.optimizer.statistics import MARGIN, more_losses, paired_difference

CONFIDENCE: Final = 0.975  # of each of two gates, so that both together are wrong in 5 % at most
LEAST_RATE: Final = 0.5
_HARM_AT: Final = 0.05


@dataclass(slots=True)
class DietCourse(Course):
    """Until there are 30 pairs, as many whatever they come to: first what was healed before, since
    it is why sentences are there; then hold-out, then regression.

    Looking after every case and stopping where the bound looks well would let harm through.
    Stopping early because there is harm lets none through.
    """

    def next(self) -> list[str]:
        """Return the ids of the cases to run now, empty if it stops here."""
        if harmful(self.pairs) or undone(self.pairs):
            return []
        missing = FEWEST_PAIRS - len(self.pairs)
        return self._order()[self.asked :][: min(missing, self.width)]

    @property
    def proven(self) -> bool:
        """False: there is no superiority to prove, and every pair counts for all."""
        return False

    def why(self) -> str:
        """Say why it stopped, provided that `next` gives nothing."""
        if lost := undone(self.pairs):
            return lost
        if harmful(self.pairs):
            return "more is lost than by chance"
        enough = len(self.pairs) >= FEWEST_PAIRS
        return "there are enough pairs" if enough else "no cases are left"

    def decision(self) -> Decision:
        """Decide by what was seen so far."""
        return decide_harmless(self.pairs)

    def _order(self) -> list[str]:
        healed = self.healed()
        others = [each for each in self.regression if each not in healed]
        return [*healed, *self.hold_out, *others][:MOST_CASES]


def course_for(
    passing: Mapping[str, Any],
    sides: tuple[Sequence[str], Sequence[str]],
    width: int,
    pinned: Collection[str],
) -> Course:
    """Return the course of a gate.

    Args:
        passing: the pass or the receipt that it belongs to.
        sides: ids of the hold-out and of the regression cases.
        width: how many cases are run at once.
        pinned: ids of the cases that were healed before.
    """
    kind = DietCourse if on_diet(passing) else Course
    return kind(*sides, width, pinned)


def harmful(pairs: Sequence[Pair]) -> bool:
    """Tell whether more was lost than gained, and more so than by chance."""
    return more_losses(*counts(pairs)) < _HARM_AT


def decide_harmless(pairs: Sequence[Pair]) -> Decision:
    """Decide whether a shorter prompt is not inferior: accepted or rejected, never in between."""
    seen = decide(pairs)
    scores = [each.candidate_score - each.incumbent_score for each in pairs]
    lower = paired_difference(scores, CONFIDENCE).lower
    verdict, reason = _verdict(seen, harmful(pairs), lower)
    if lost := undone(pairs):
        verdict, reason = "rejected", lost
    rounded = round(lower, 4) if len(pairs) > 1 else lower
    return replace(seen, verdict=verdict, reason=reason, lower=rounded)


def _verdict(seen: Decision, harm: bool, lower: float) -> tuple[Verdict, str]:
    changed = f"{seen.gains} gains, {seen.losses} losses"
    if harm:
        return "rejected", f"the sentences are missed: {changed}"
    if seen.pairs < FEWEST_PAIRS:
        return "rejected", f"only {seen.pairs} of {FEWEST_PAIRS} pairs have verdicts"
    if seen.incumbent_rate < LEAST_RATE:
        rate = f"{seen.incumbent_rate:.0%}"
        return "rejected", f"the live prompt passes only {rate}: nothing shows what it would lose"
    if lower <= -MARGIN:
        return "rejected", f"{changed}, and it may score lower by {-lower:.2f}"
    return "accepted", f"{changed}, score not lower by more than {max(-lower, 0):.2f}"
