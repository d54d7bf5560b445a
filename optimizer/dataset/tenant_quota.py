"""No tenant is most of what a healing reads: whoever fails most, or wants to be read, is capped."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from selfheal.db.runs import Run

MOST_SHARE: Final = 0.2
# One that fails alone must be healable too: this many make an honest split (see cases.py).
ALWAYS: Final = 8


def fair(runs: Sequence[Run], limit: int) -> list[Run]:
    """Return at most so many runs, of which no tenant has more than max(20 %, 1/tenants), or 8.

    Tenants take turns until there are enough; of each the first runs remain, in their order.
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
    """Return the largest cap that is within the share of what it leaves, or 8."""
    share = max(MOST_SHARE, 1 / max(1, len(counts)))
    caps = range(max(counts, default=0), ALWAYS, -1)
    within = (cap for cap in caps if cap <= share * sum(min(each, cap) for each in counts))
    return next(within, ALWAYS)
