"""A stable split of cases into parts: near-duplicates are merged, related cases kept together."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from selfheal.optimizer.state import Case, Split
from selfheal.optimizer.text.similarity import jaccard, mostly_contained, shingles

DUPLICATE_AT: Final = 0.8  # Jaccard similarity, from 0 to 1
RELATED_AT: Final = 0.4  # Jaccard similarity, from 0 to 1
FEW_CLUSTERS: Final = 8
MOST_HOLD_OUT: Final = 60  # cases
MOST_LOOKS: Final = 3  # gates that use a production case before it leaves hold-out


def deduplicate(cases: Iterable[Case]) -> list[Case]:
    """Remove near-duplicates of earlier cases."""
    kept: list[Case] = []
    for case in cases:
        if not any(similar_requests(case, other) for other in kept):
            kept.append(case)
    return kept


def clusters(cases: Sequence[Case]) -> list[list[Case]]:
    """Group related cases by single linkage: a case joins the cluster of any related case."""
    merged: list[list[Case]] = []
    for case in cases:
        related = [
            cluster
            for cluster in merged
            if any(similar_requests(case, member, RELATED_AT) for member in cluster)
        ]
        merged = [cluster for cluster in merged if cluster not in related]
        merged.append([*(member for cluster in related for member in cluster), case])
    return merged


def similar_requests(left: Case, right: Case, at: float = DUPLICATE_AT) -> bool:
    """Tell whether two requests are near-duplicates, or at least as similar as `at` (0 to 1)."""
    one, other = left["request"], right["request"]
    return jaccard(shingles(one), shingles(other)) >= at or mostly_contained(one, other)


def split(
    production: Sequence[Case],
    golden: Sequence[Case],
    *,
    pinned: Sequence[Case] = (),
    looks: Mapping[str, int] | None = None,
    order: str = "",
) -> Split:
    """Divide cases into train (50 %), hold-out (30 %) and regression (20 %).

    A hash of the cluster decides, so that no near-duplicate of a train case is in hold-out, and a
    case stays in its part from healing to healing. With fewer than 8 clusters each case is its own
    cluster. Golden requests are added to hold-out and regression only. A production case is moved
    from hold-out to regression after 3 gates have used it.

    Args:
        production: failed cases without near-duplicates.
        golden: cases of golden requests.
        pinned: cases that earlier healings healed; all go to regression.
        looks: how many earlier gates used a case, by its id.
        order: a seed for the order of the golden requests, so that gates begin with different ones.
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
    regression = deduplicate([*pinned, *regression])
    regression = [case for case in regression if not any(similar_requests(case, s) for s in seen)]
    for case in sorted(golden, key=lambda case: digest(order + case["id"])):
        if any(similar_requests(case, other) for other in train):
            continue
        if hash_share(case["id"]) < 0.7 and len(hold_out) < MOST_HOLD_OUT:
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
    """Assign each group to the part that its hash selects; train is never left empty."""
    parts: tuple[list[Case], list[Case], list[Case]] = ([], [], [])
    keyed = sorted((hash_share(min(case["id"] for case in group)), group) for group in groups)
    for position, (share, group) in enumerate(keyed):
        part = 0 if share < 0.5 or position == 0 else 1 if share < 0.8 else 2
        parts[part].extend(group)
    return parts


def hash_share(key: str) -> float:
    """Return a number in [0, 1] that depends on the key alone and is uniformly distributed."""
    return int(digest(key)[:8], 16) / 2**32


def fingerprint(*parts: Sequence[Case]) -> str:
    """Return a hash of which case is in which part, 16 hexadecimal digits."""
    return fingerprint_of_ids(*([case["id"] for case in part] for part in parts))


def fingerprint_of_ids(*parts: Sequence[str]) -> str:
    """Return the fingerprint of parts given by the ids of their cases."""
    return digest(json.dumps([sorted(part) for part in parts]))[:16]


def digest(text: str) -> str:
    """Return the SHA-256 of a text, 64 hexadecimal digits."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
