"""The chart: how often each rule accepts a change, by its true difference."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from bench.real_outcomes.gates import OTHERS, OURS
from bench.real_outcomes.measures import Acceptance

_COLOURS = ("#2563eb", "#d97706", "#b45309", "#7c3aed", "#0f766e", "#64748b")


def draw(accepted: Mapping[str, Acceptance], path: Path) -> None:
    """Draw acceptance by true difference, with 95 % intervals, to a file."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for place, (rule, colour) in enumerate(zip((OURS, *OTHERS), _COLOURS, strict=True)):
        shares = [found.share(rule) for found in accepted.values()]
        rates = [100 * share.count / share.of for share in shares]
        # An exact interval holds the rate, but for an error of rounding.
        below = [max(r - 100 * s.interval[0], 0) for r, s in zip(rates, shares, strict=True)]
        above = [max(100 * s.interval[1] - r, 0) for r, s in zip(rates, shares, strict=True)]
        axes.errorbar(
            [x + (place - 2.5) * 0.05 for x in range(len(rates))],
            rates,
            (below, above),
            label=rule,
            color=colour,
            marker="o",
            markersize=4,
            linewidth=2.5 if rule == OURS else 1.0,
            capsize=2,
        )
    axes.set_xticks(range(len(accepted)), list(accepted))
    axes.set_xlabel("true difference, in percentage points")
    axes.set_ylabel("accepted, in percent")
    axes.set_ylim(-2, 102)
    axes.grid(axis="y", alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)
