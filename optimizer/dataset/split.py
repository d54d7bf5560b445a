"""Near-duplicates merged, clusters kept together, and a split that stays the same."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from selfheal.optimizer.state import Case, Split
from selfheal.optimizer.text.similarity import contained, shingles, similarity

DUPLICATE_AT: Final = 0.8
RELATED_AT: Final = 0.4
FEW_CLUSTERS: Final = 8
MOST_HOLD_OUT: Final = 60
MOST_LOOKS: Final = 3


def distinct(cases: Iterable[Case]) -> list[Case]:
    """Merge near-duplicates; of each group the first remains."""
    kept: list[Case] = []
    for case in cases:
        if not any(alike(case, other) for other in kept):
            kept.append(case)
    return kept


def clusters(cases: Sequence[Case]) -> list[list[Case]]:
    """Group related cases: whoever is related to one of a cluster belongs to it."""
    found: list[list[Case]] = []
    for case in cases:
        related = [each for each in found if any(alike(case, it, RELATED_AT) for it in each)]
        found = [each for each in found if each not in related]
        found.append([*(it for each in related for it in each), case])
    return found


def alike(left: Case, right: Case, at: float = DUPLICATE_AT) -> bool:
    """Tell whether two requests are near-duplicates, or as alike as `at` says."""
    one, other = left["request"], right["request"]
    return similarity(shingles(one), shingles(other)) >= at or contained(one, other)


def split(
    production: Sequence[Case],
    golden: Sequence[Case],
    *,
    pinned: Sequence[Case] = (),
    looks: Mapping[str, int] | None = None,
    order: str = "",
) -> Split:
    """Divide cases into train (50 %), hold-out (30 %) and regression (20 %).

    The hash of a cluster decides, so that near-duplicates of a train case never sit in hold-out
    and a case stays on its side from healing to healing. Below 8 clusters the cases themselves
    are divided. Golden requests top up hold-out and regression only. A production case is
    retired from hold-out after 3 looks.

    Args:
        production: distinct cases that failed.
        golden: requests with executable examples.
        pinned: cases that earlier healings healed; all go to regression.
        looks: how many earlier gates looked at a case.
        order: shuffles the golden requests, so that not every gate begins with the same ones.
    """
    looks = looks or {}
    groups = clusters(production)
    if len(groups) < FEW_CLUSTERS:
        groups = [[case] for case in production]
    train, hold_out, regression = _divide(groups)
    for case in [case for case in hold_out if looks.get(case["id"], 0) >= MOST_LOOKS]:
        hold_out.remove(case)
        regression.append(case)
    seen = [*train, *hold_out]
    regression = distinct([*pinned, *regression])
    regression = [case for case in regression if not any(alike(case, s) for s in seen)]
    for case in sorted(golden, key=lambda case: digest(order + case["id"])):
        if any(alike(case, it) for it in train):
            continue
        if sticky_share(case["id"]) < 0.7 and len(hold_out) < MOST_HOLD_OUT:
            hold_out.append(case)
        else:
            regression.append(case)
    kept = {case["id"] for case in (*hold_out, *regression)}
    return Split(
        train=train,
        hold_out=hold_out,
        regression=regression,
        fingerprint=fingerprint(train, hold_out, regression),
        looks={case["id"]: looks[case["id"]] for case in hold_out if looks.get(case["id"])},
        pinned=[case["id"] for case in pinned if case["id"] in kept],
    )


def _divide(groups: list[list[Case]]) -> tuple[list[Case], list[Case], list[Case]]:
    """Send each group to the side that its hash names; train is never left empty."""
    sides: tuple[list[Case], list[Case], list[Case]] = ([], [], [])
    keyed = sorted((sticky_share(min(case["id"] for case in group)), group) for group in groups)
    for position, (share, group) in enumerate(keyed):
        side = 0 if share < 0.5 or position == 0 else 1 if share < 0.8 else 2
        sides[side].extend(group)
    return sides


def sticky_share(key: str) -> float:
    """Return a sticky number from 0 to 1 for a key."""
    return int(digest(key)[:8], 16) / 2**32


def fingerprint(*sides: Sequence[Case]) -> str:
    """Return what tells of every change of who sits on which side."""
    return fingerprint_of(*([case["id"] for case in side] for side in sides))


def fingerprint_of(*sides: Sequence[str]) -> str:
    """Return the fingerprint of sides by the ids of their cases."""
    return digest(json.dumps([sorted(side) for side in sides]))[:16]


def digest(text: str) -> str:
    """Return the SHA-256 of a text in hexadecimal."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
