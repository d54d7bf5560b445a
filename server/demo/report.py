"""The demo's report: Markdown, JSON and a chart."""

import json
from pathlib import Path
from typing import Any

from optimizer.story import as_markdown
from server.demo.measure import Answered, Measured
from server.demo.play import Story

_NOTICE = (
    "> **SIMULATED.** A stand-in played the model: the figures show that the loop works, and are"
    " no claim about Gemini."
)


def write(story: Story, folder: Path, threshold: float) -> list[Path]:
    """Write report.md, report.json and chart.png into a folder; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    text, data, chart = (folder / name for name in ("report.md", "report.json", "chart.png"))
    text.write_text(_markdown(story), encoding="utf-8")
    data.write_text(json.dumps(story.as_json(), indent=2, ensure_ascii=False), encoding="utf-8")
    draw(story, chart, threshold)
    return [text, data, chart]


def _phases(story: Story) -> list[tuple[str, Measured]]:
    phases = (("before", story.before), ("after", story.after), ("unseen", story.unseen))
    return [(name, measured) for name, measured in phases if measured is not None]


def _markdown(story: Story) -> str:
    lines = ["# selfheal demo", ""]
    if story.simulated:
        lines += [_NOTICE, ""]
    lines += [
        f"Model: `{story.model}`",
        "",
        "| | runs | passed | pass rate | average score |",
        "|---|---|---|---|---|",
    ]
    for name, measured in _phases(story):
        figures = measured.as_json()
        rate, score = f"{figures['pass_rate']:.0%}", f"{figures['average_score']:.3f}"
        lines.append(f"| {name} | {figures['runs']} | {figures['passed']} | {rate} | {score} |")
    if story.improvement_percent is not None:
        lines += ["", f"Average score: +{story.improvement_percent:g} %"]
    lines += ["", "![scores of all runs](chart.png)", ""]
    if story.receipt:
        lines.append(as_markdown(story.receipt))
    return "\n".join(lines)


def draw(story: Story, path: Path, threshold: float) -> None:
    """Draw the score of every run in order, and where the new prompt went live."""
    # Only here: the drawing library takes a second to load, and no other command needs it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    start = 0
    for name, measured in _phases(story):
        _plot(axes, start, name, measured.runs)
        start += len(measured.runs)
    axes.axhline(threshold, color="0.5", linestyle="--", linewidth=1)
    axes.text(-0.4, threshold + 0.015, "passes from here", color="0.4", fontsize=8)
    if story.after is not None:
        live = len(story.before.runs) - 0.5
        axes.axvline(live, color="tab:green", linewidth=1.5)
        axes.text(live + 0.2, 0.03, "healed prompt goes live", color="tab:green", fontsize=9)
    axes.set(xlabel="run", ylabel="score", ylim=(0, 1.05), title=_title(story))
    axes.legend(loc="center right")
    figure.savefig(path, dpi=120)


def _plot(axes: Any, start: int, name: str, answered: tuple[Answered, ...]) -> None:
    places = range(start, start + len(answered))
    colours = {"before": "tab:red", "after": "tab:blue", "unseen": "tab:purple"}
    scores = [run.score for run in answered]
    axes.plot(places, scores, "o", color=colours[name], label=name, markersize=5)


def _title(story: Story) -> str:
    return f"{'SIMULATED: ' if story.simulated else ''}every run of the demo, {story.model}"
