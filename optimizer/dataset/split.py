"""A stable split of cases into parts: near-duplicates are merged, related cases kept together."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from selfheal.optimizer.records.cases import Case, Split
from selfheal.optimizer.text.similarity import jaccard, mostly_contained, shingles

OWN: Final = "golden:own:"  # begins the ids of golden requests that the operator added
DUPLICATE_AT: Final = 0.8  # Jaccard similarity, from 0 to 1
RELATED_AT: Final = 0.4  # Jaccard similarity, from 0 to 1
# Production cases are held out from so many clusters on. Half of them train: eight, so that no
# candidate is screened twice on one case (policy/screening.py). Below, all train, since the golden
# cases fill the held-out set.
HELD_OUT_FROM: Final = 16
MOST_HOLD_OUT: Final = 200  # cases
GOLDEN_HOLD_OUT: Final = 0.85  # of the golden cases, so that 240 of them make 200 held-out ones
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
    trained: Collection[str] = (),
) -> Split:
    """Divide cases into train (50 %), hold-out (30 %) and regression (20 %).

    A hash of the cluster decides, so that no near-duplicate of a train case is in hold-out, and a
    case stays in its part from healing to healing. With fewer than 16 clusters all train; so does a
    cluster with a case that an earlier healing trained on, however many there are: a case never
    moves from train to hold-out. Golden requests are added to hold-out and regression only. A
    production case is moved from hold-out to regression after 3 gates have used it.

    Args:
        production: failed cases without near-duplicates.
        golden: cases of golden requests.
        pinned: cases that earlier healings healed; all go to regression.
        looks: how many earlier gates used a case, by its id.
        order: a seed for the order of the golden requests, so that gates begin with different ones.
        trained: ids of the cases that earlier healings trained on.
    """
    looks = looks or {}
    groups = clusters(production)
    few = len(groups) < HELD_OUT_FROM
    train, hold_out, regression = _divide(
        [group for group in groups if not few and not _is_known(group, trained)]
    )
    divided = {case["id"] for case in (*train, *hold_out, *regression)}
    train = [case for case in production if case["id"] not in divided] + train
    if not train and hold_out:  # of 16 clusters none was assigned to it: once in 65,000
        train = [hold_out.pop(0)]
    for case in [case for case in hold_out if looks.get(case["id"], 0) >= MOST_LOOKS]:
        hold_out.remove(case)
        regression.append(case)
    seen = [*train, *hold_out]
    regression = deduplicate([*pinned, *regression])
    regression = [case for case in regression if not any(similar_requests(case, s) for s in seen)]
    for case in sorted(golden, key=lambda case: digest(order + case["id"])):
        if any(similar_requests(case, other) for other in train):
            continue
        if hash_share(case["id"]) < GOLDEN_HOLD_OUT and len(hold_out) < MOST_HOLD_OUT:
            hold_out.append(case)
        else:
            regression.append(case)
    return divided_into(train, hold_out, regression, looks=looks, pinned=pinned)


def divided_into(
    train: list[Case],
    hold_out: list[Case],
    regression: list[Case],
    *,
    looks: Mapping[str, int],
    pinned: Sequence[Case],
) -> Split:
    """Return the parts as a split; see `split` for `looks` and `pinned`."""
    kept = {case["id"] for case in (*hold_out, *regression)}
    return Split(
        train=train,
        hold_out=hold_out,
        regression=regression,
        fingerprint=fingerprint(train, hold_out, regression),
        looks={case["id"]: looks[case["id"]] for case in hold_out if looks.get(case["id"])},
        pinned=[case["id"] for case in pinned if case["id"] in kept],
    )


def _is_known(group: Sequence[Case], ids: Collection[str]) -> bool:
    return any(case["id"] in ids for case in group)


def _divide(groups: list[list[Case]]) -> tuple[list[Case], list[Case], list[Case]]:
    """Assign each group to the part that its hash selects."""
    parts: tuple[list[Case], list[Case], list[Case]] = ([], [], [])
    keyed = sorted((hash_share(min(case["id"] for case in group)), group) for group in groups)
    for share, group in keyed:
        part = 0 if share < 0.5 else 1 if share < 0.8 else 2
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
