"""The evidence, from trials of a text, that some case misses what the text lacks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from selfheal.optimizer.records.candidates import EditVerdict

SLIP: Final = 0.1  # how often a sound prompt fails a case
SLIP_SEEN: Final = 0.2  # the same, where the candidate itself failed in screening
_LARGEST_SLIP: Final = 0.2  # of any sound prompt
_ALPHA: Final = 0.002  # the rate of keeping what is not needed
_ALPHA_AT_LARGEST: Final = 0.02  # the same, where slips are as frequent as they can be
_BETA: Final = 0.01  # the rate of removing what is needed
_RATES: Final = (0.5, 0.7, 0.9)  # of failure without what is needed
_RATE: Final = 0.6  # the same, to tell what is not needed
MOST_TRIALS: Final = 40  # of a case without an edit


@dataclass(slots=True)
class Tally:
    """The trials of one text, by case.

    Attributes:
        cases: the ids of all cases that texts are tried on.
        slip: how often a case fails though nothing needed is missing, 0 to 1.
        arm: of the text.
        results: whether each trial passed, by case.
    """

    cases: Sequence[str]
    slip: float
    arm: int
    results: dict[str, list[bool]] = field(default_factory=dict)
    takes: dict[str, int] = field(default_factory=dict)  # those without a verdict included

    def count(self, case: str, passed: bool | None) -> None:
        """Count a trial; None where it gave no verdict."""
        if passed is not None:
            self.results.setdefault(case, []).append(passed)

    def of(self, case: str) -> tuple[int, int]:
        """Return how many trials of a case failed, of how many."""
        found = self.results.get(case, [])
        return found.count(False), len(found)

    @property
    def e_value(self) -> float:
        """The evidence that some case misses what the text lacks, at the rate of slips."""
        return self._evidence(self.slip)

    def _evidence(self, slip: float) -> float:
        """Return the evidence against failures at a rate of slips.

        The mean of two likelihood ratios: of all trials of the text, and of those of a single case,
        whichever it is. Its expectation is at most 1 if nothing is missed, at any stopping time and
        for any choice of the next case.
        """
        alone = [_ratio(*self.of(case), slip) for case in self.cases]
        failed = sum(self.of(case)[0] for case in self.cases)
        total = sum(self.of(case)[1] for case in self.cases)
        return (_ratio(failed, total, slip) + sum(alone) / len(alone)) / 2

    def verdict(self, case: str) -> EditVerdict | None:
        """Return whether a case misses what the text lacks; None while that is open."""
        needed = self._evidence(_LARGEST_SLIP) >= 1 / _ALPHA_AT_LARGEST
        if needed and self.e_value >= 1 / _ALPHA:
            return "needed"
        if self.log_ratio([case], _RATE) <= math.log(_BETA):
            return "not_needed"
        return "undecided" if self.takes.get(case, 0) >= MOST_TRIALS else None

    def log_ratio(self, cases: Sequence[str], rate: float) -> float:
        """Return the log likelihood ratio of a rate of failures against that of slips."""
        failed = sum(self.of(case)[0] for case in cases)
        passed = sum(self.of(case)[1] for case in cases) - failed
        ratio = failed * math.log(rate / self.slip)
        return ratio + passed * math.log((1 - rate) / (1 - self.slip))


def _ratio(failed: int, of: int, slip: float) -> float:
    """Return the likelihood ratio of failures at the rates of what is needed, and of slips."""
    ratios = ((r / slip) ** failed * ((1 - r) / (1 - slip)) ** (of - failed) for r in _RATES)
    return sum(ratios) / len(_RATES)
