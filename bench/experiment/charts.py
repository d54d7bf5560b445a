"""The charts of the experiment, from the raw results."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from matplotlib.figure import Figure

from bench.experiment.outcomes import Outcome, outcomes, undamaged
from bench.experiment.records import Records

_COLOURS = {"selfheal": "#2563eb", "swap": "#d97706", "gepa": "#7c3aed"}
_NAMES = {"selfheal": "selfheal", "swap": "swap at once", "gepa": "GEPA"}


def draw(records: Records, folder: Path) -> list[Path]:
    """Draw what there are results for; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    found = [*outcomes(records, "healing"), *outcomes(records, "gepa")]
    if not found:
        return []
    figure = Figure(figsize=(11, 8), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(3, 2))
    _unseen(above, found, undamaged(records))
    _calls(below, [each for each in found if each.arm == "selfheal"])
    figure.suptitle("Healing a damaged prompt. SIMULATED: no figure here is Gemini's")
    path = folder / "healing.png"
    figure.savefig(path, dpi=110)
    return [path]


def _unseen(axes: Any, found: Sequence[Outcome], sound: float | None) -> None:
    """Show every trial as a dot, and the mean of each arm as a bar."""
    names = list(dict.fromkeys(each.scenario for each in found))
    arms = [arm for arm in _NAMES if any(each.arm == arm for each in found)]
    width = 0.8 / len(arms)
    for place, arm in enumerate(arms):
        for row, name in enumerate(names):
            here = [each.after for each in found if (each.arm, each.scenario) == (arm, name)]
            if here:
                x = row + (place - (len(arms) - 1) / 2) * width
                label = _NAMES[arm] if row == 0 else None
                axes.bar(x, fmean(here), width * 0.9, color=_COLOURS[arm], alpha=0.35, label=label)
                axes.plot([x] * len(here), here, ".", color=_COLOURS[arm], markersize=4)
    if sound is not None:
        axes.axhline(sound, color="#15803d", linewidth=1, linestyle="--", label="undamaged")
    axes.set_xticks(range(len(names)), names, rotation=20, ha="right", fontsize=8)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("unseen work that is right")
    axes.legend(loc="lower right", fontsize=8)


def _calls(axes: Any, ours: Sequence[Outcome]) -> None:
    names = list(dict.fromkeys(each.scenario for each in ours))
    drawn = [[each.calls for each in ours if each.scenario == name] for name in names]
    axes.boxplot(drawn, tick_labels=names)
    axes.axhline(200, color="#b91c1c", linewidth=1, linestyle="--", label="wanted: median below")
    axes.tick_params(axis="x", rotation=20, labelsize=8)
    axes.set_ylim(0)
    axes.set_ylabel("model calls a healing")
    axes.legend(loc="upper right", fontsize=8)
