"""Which cases a gate asks about, in which order, and where it stops: pure, as gate.py is."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from selfheal.optimizer.policy.superiority import (
    FEWEST_PAIRS,
    MOST_CASES,
    Decision,
    Pair,
    beyond_belief,
    beyond_hope,
    counts,
    decide,
    superior,
    undone,
)
from selfheal.optimizer.statistics import e_value

MOST_HEALED: Final = 12


@dataclass(slots=True)
class Course:
    """The cases that a gate asks about, in which order, and where it stops.

    Hold-out first, until the evidence decides; then, if it speaks for the candidate, regression
    and what is left of hold-out, until there are enough pairs, and the cases healed before have
    been asked about. One of these that is lost for good ends it.

    Attributes:
        hold_out: ids of the hold-out cases.
        regression: ids of the regression cases, those that were healed before first.
        width: how many cases are run at once.
        pinned: ids of the cases that were healed before.
        pairs: those with verdicts on both sides, in order.
        asked: how many cases have been asked about, those without a verdict included.
    """

    hold_out: Sequence[str]
    regression: Sequence[str]
    width: int
    pinned: Collection[str] = ()
    pairs: list[Pair] = field(default_factory=list)
    asked: int = 0
    _others: int = 0

    def next(self) -> list[str]:
        """Return the ids of the cases to run now, empty if it stops here."""
        if undone(self.pairs):
            return []
        return list((self._rest() if self.proven else self._held())[: self.width])

    @property
    def proven(self) -> bool:
        """Whether superiority is proven, so that what is run now counts for regression alone."""
        return superior(self.pairs)

    def add(self, asked: int, pairs: Sequence[Pair]) -> None:
        """Take what the cases came to; of `asked` cases, only `pairs` may have verdicts."""
        self._others += asked if self.proven else 0
        self.asked += asked
        self.pairs += pairs

    def decision(self) -> Decision:
        """Decide by what was seen so far."""
        return decide(self.pairs)

    def why(self) -> str:
        """Say why it stopped, provided that `next` gives nothing."""
        if lost := undone(self.pairs):
            return lost
        if self.proven:
            few = len(self.pairs) < FEWEST_PAIRS
            return "proven, but no cases are left" if few else "proven, over enough pairs"
        left = len(self.hold_out[:MOST_CASES]) - self.asked
        if not left:
            return "all hold-out cases were asked about"
        if beyond_hope(self.pairs, left):
            return f"not even gains in all {left} hold-out cases left could prove it"
        return f"at the rate of gains seen, the {left} hold-out cases left will not prove it"

    def healed(self) -> list[str]:
        """Return the regression cases that were healed before and are asked about anyway."""
        return [each for each in self.regression if each in self.pinned][:MOST_HEALED]

    def _held(self) -> Sequence[str]:
        """Return the hold-out cases left; none where they will not bring the evidence."""
        left = self.hold_out[:MOST_CASES][self.asked :]
        return [] if beyond_belief(self.pairs, len(left)) else left

    def _rest(self) -> Sequence[str]:
        """Return what is left to show that nothing else is lost."""
        if len(self.pairs) >= FEWEST_PAIRS:
            return self.healed()[self._others :]
        seen = {pair.case_id for pair in self.pairs if pair.hold_out}
        held = [each for each in self.hold_out[:MOST_CASES] if each not in seen]
        return [*self.regression, *held][self._others :]


def report(course: Course, spent: str) -> dict[str, Any]:
    """Return what a gate has come to, for the receipt.

    Args:
        course: where it stopped.
        spent: the words for a budget that ended it before that; else empty.
    """
    decision = course.decision()
    if spent:  # a proof is whole only if nothing that was healed before is lost
        verdict = "undecided" if decision.verdict == "accepted" else decision.verdict
        decision = replace(decision, verdict=verdict, reason=f"{decision.reason}; {spent}")
    return {
        "budget_spent": bool(spent),
        **decision.as_json(),
        "width": course.width,
        "asked": course.asked,
        "stopped": spent or course.why(),
        "course": running(course.pairs),
    }


def running(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """Return the course of a gate for its receipt: each pair, and the e-value after it."""
    return [
        {
            "case_id": pair.case_id,
            "hold_out": pair.hold_out,
            "incumbent_passed": pair.incumbent_passed,
            "candidate_passed": pair.candidate_passed,
            "again": list(pair.again),
            "e_value": round(e_value(*counts(pairs[: place + 1])), 4),
        }
        for place, pair in enumerate(pairs)
    ]
