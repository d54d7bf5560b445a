"""Slices: kinds of cases, none of which a better candidate may get worse on."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Final

from selfheal.optimizer.policy.superiority import Pair
from selfheal.optimizer.records.candidates import SliceFinding, SliceResult
from selfheal.optimizer.records.cases import Case
from selfheal.optimizer.statistics import e_value

PRODUCTION: Final = "production"
LOST_AT: Final = 20.0  # the e-value for losses at which a slice counts as lost
FEWEST_PAIRS: Final = 6
CLOSE_PAIRS: Final = 10  # of a slice that has lost one case more than it gained
MOST_PAIRS: Final = 24
LEAST_RATE: Final = 0.5  # an incumbent that passes fewer of a slice has nothing to lose there
_BOTH_FAIL: Final = 2  # what a pair counts for, that both sides fail; one that both pass counts 1


def slice_of(case: Case) -> str:
    """Return the name of a case's slice: its kind, or `production` if it has none."""
    return case.get("kind") or PRODUCTION


def in_turns(cases: Iterable[str], slices: Mapping[str, str]) -> list[str]:
    """Return cases by turns, one of each slice and then another of each.

    Within a slice, and between the first cases of slices, their order stays.

    Args:
        cases: ids.
        slices: the slice of each.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        groups[slices.get(case, PRODUCTION)].append(case)
    turns = zip_longest(*groups.values())
    return [case for case in chain.from_iterable(turns) if case is not None]


@dataclass(frozen=True, slots=True)
class Tally:
    """The pairs of a slice.

    Attributes:
        gains: the candidate alone passed.
        losses: the incumbent alone passed.
        both: both passed.
        neither: both failed.
    """

    gains: int = 0
    losses: int = 0
    both: int = 0
    neither: int = 0

    @property
    def pairs(self) -> int:
        """How many there are."""
        return self.gains + self.losses + self.both + self.neither

    @property
    def evidence(self) -> float:
        """The e-value for losses."""
        return e_value(self.losses, self.gains)


def tallies(pairs: Sequence[Pair], slices: Mapping[str, str]) -> dict[str, Tally]:
    """Return the tally of each slice that has cases, by its name."""
    seen: dict[str, list[Pair]] = {name: [] for name in sorted(set(slices.values()))}
    for pair in pairs:
        seen.setdefault(slices.get(pair.case_id, PRODUCTION), []).append(pair)
    return {name: _tally(found) for name, found in seen.items()}


def _tally(pairs: Sequence[Pair]) -> Tally:
    counted = Counter((pair.incumbent_passed, pair.candidate_passed) for pair in pairs)
    return Tally(
        gains=counted[False, True],
        losses=counted[True, False],
        both=counted[True, True],
        neither=counted[False, False],
    )


def finding(tally: Tally) -> SliceFinding:
    """Return what the pairs of a slice show.

    As long as nothing was lost, one gain suffices: a candidate that has broken a slice hardly ever
    passes what the incumbent fails there. So do six cases that both pass, or three that both fail,
    since the incumbent has then little to lose. After a loss a slice needs six pairs, and more as
    long as it has lost more than it gained.
    """
    if tally.evidence >= LOST_AT:
        return "lost"
    if not tally.losses:
        enough = tally.gains or tally.both + _BOTH_FAIL * tally.neither >= FEWEST_PAIRS
        return "kept" if enough else "unsettled"
    if tally.pairs < FEWEST_PAIRS:
        return "unsettled"
    if tally.both + tally.losses < LEAST_RATE * tally.pairs:
        return "nothing_to_lose"
    net = tally.losses - tally.gains
    most = MOST_PAIRS if net >= 2 else CLOSE_PAIRS if net == 1 else FEWEST_PAIRS
    return "unsettled" if tally.pairs < most else "kept"


def results(pairs: Sequence[Pair], slices: Mapping[str, str]) -> list[SliceResult]:
    """Return what each slice came to, by name, for the receipt."""
    return [
        SliceResult(
            name=name,
            pairs=tally.pairs,
            gains=tally.gains,
            losses=tally.losses,
            incumbent_passed=tally.both + tally.losses,
            e_value=round(tally.evidence, 4),
            finding=finding(tally),
        )
        for name, tally in tallies(pairs, slices).items()
    ]


def lost_slices(found: Sequence[SliceResult]) -> list[str]:
    """Return the names of the slices that are lost."""
    return [each["name"] for each in found if each["finding"] == "lost"]


def unsettled_cases(
    pairs: Sequence[Pair], slices: Mapping[str, str], unseen: Sequence[str]
) -> list[str]:
    """Return the cases that could still settle a slice, by turns; none once a slice is lost.

    Args:
        pairs: so far.
        slices: the slice of each case.
        unseen: ids of the cases that were not run, in the order in which to run them.
    """
    found = results(pairs, slices)
    if lost_slices(found):
        return []
    unsettled = {each["name"] for each in found if each["finding"] == "unsettled"}
    cases = [each for each in unseen if slices.get(each, PRODUCTION) in unsettled]
    return in_turns(cases, slices)
