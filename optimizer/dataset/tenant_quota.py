"""A quota for each tenant, so that no tenant dominates the runs that a healing reads."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from selfheal.db.runs import Run

MAX_SHARE: Final = 0.2
# A tenant that fails alone must be healable too: this many runs are a case for each trial of a
# screening (policy/screening.py).
MIN_RUNS: Final = 8


def apply_quota(runs: Sequence[Run], limit: int) -> list[Run]:
    """Return a subset of runs in which each tenant has at most max(20 %, 1/tenants), or 8 runs.

    Tenants alternate until the limit is reached; of each tenant the first runs are kept.

    Args:
        runs: the runs, most relevant first.
        limit: the most runs to return.

    Returns:
        The runs that are kept, in the given order.
    """
    turns: list[tuple[int, int]] = []
    taken: Counter[str] = Counter()
    for position, run in enumerate(runs):
        turns.append((taken[run.tenant], position))
        taken[run.tenant] += 1
    chosen = sorted(turns)[:limit]
    most = _most([*Counter(runs[position].tenant for _, position in chosen).values()])
    return [runs[position] for position in sorted(at for turn, at in chosen if turn < most)]


def _most(counts: list[int]) -> int:
    """Return the largest cap that is within the share of what the cap leaves, or 8."""
    share = max(MAX_SHARE, 1 / max(1, len(counts)))
    caps = range(max(counts, default=0), MIN_RUNS, -1)
    within = (cap for cap in caps if cap <= share * sum(min(count, cap) for count in counts))
    return next(within, MIN_RUNS)
