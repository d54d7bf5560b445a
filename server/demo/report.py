"""The demo's report: Markdown, JSON and a chart."""

import json
from pathlib import Path

from selfheal.optimizer.receipt.markdown import as_markdown, quoted
from selfheal.optimizer.wording import sentence
from selfheal.server.demo.chart import chart
from selfheal.server.demo.play import Story
from selfheal.server.demo.show import failing_runs

_NOTICE = (
    "> **SIMULATED.** A stand-in played the model: the figures show that the loop works, and are"
    " no claim about Gemini."
)

_LONGEST = 700  # characters of a line about a failing run


def write(story: Story, folder: Path, threshold: float) -> list[Path]:
    """Write report.md, report.json and chart.svg into a folder; return their paths.

    Args:
        story: what the demo has seen.
        folder: made if it is not there.
        threshold: the score, 0 to 1, from which a run passes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text, data, drawn = (folder / name for name in ("report.md", "report.json", "chart.svg"))
    text.write_text(_markdown(story), encoding="utf-8")
    data.write_text(json.dumps(story.as_json(), indent=2, ensure_ascii=False), encoding="utf-8")
    drawn.write_text(chart(story, threshold), encoding="utf-8")
    return [text, data, drawn]


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
    for name, measured in story.phases:
        figures = measured.as_json()
        rate, score = f"{figures['pass_rate']:.0%}", f"{figures['average_score']:.3f}"
        lines.append(f"| {name} | {figures['runs']} | {figures['passed']} | {rate} | {score} |")
    if story.receipt is None:
        reason = sentence(story.healing.get("reason"))
        lines += [
            "",
            f"No healing was opened ({story.healing['outcome']}): {quoted(reason, _LONGEST)}",
        ]
    if story.improvement_percent is not None:
        lines += ["", f"Average score: +{story.improvement_percent:g} %"]
    if failing := failing_runs(story):
        lines += ["", *(f"- {quoted(line, _LONGEST)}" for line in failing)]
    lines += ["", "![scores of all runs](chart.svg)", ""]
    if story.receipt:
        lines.append(as_markdown(story.receipt))
    return "\n".join(lines)
