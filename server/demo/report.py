"""The demo's report: Markdown, JSON and a chart."""

import json
from pathlib import Path

from selfheal.optimizer.receipt.markdown import as_markdown, quoted
from selfheal.optimizer.wording import sentence
from selfheal.server.demo.chart import chart
from selfheal.server.demo.play import DemoResult
from selfheal.server.demo.show import failing_runs

_NOTICE = (
    "> **SIMULATED.** These figures come from a simulated model: they show that the loop works and"
    " say nothing about Gemini."
)

_LONGEST = 700  # characters of a line about a failing run


def write(result: DemoResult, folder: Path, threshold: float) -> list[Path]:
    """Write report.md, report.json and chart.svg into a folder; return their paths.

    Args:
        result: of the demo.
        folder: created if it does not exist.
        threshold: the score, 0 to 1, from which a run passes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text, data, drawn = (folder / name for name in ("report.md", "report.json", "chart.svg"))
    text.write_text(_markdown(result), encoding="utf-8")
    data.write_text(json.dumps(result.as_json(), indent=2, ensure_ascii=False), encoding="utf-8")
    drawn.write_text(chart(result, threshold), encoding="utf-8")
    return [text, data, drawn]


def _markdown(result: DemoResult) -> str:
    lines = ["# selfheal demo", ""]
    if result.simulated:
        lines += [_NOTICE, ""]
    lines += [
        f"Model: `{result.model}`",
        "",
        "| | runs | passed | pass rate | average score |",
        "|---|---|---|---|---|",
    ]
    for name, measured in result.phases:
        figures = measured.as_json()
        rate, score = f"{figures['pass_rate']:.0%}", f"{figures['average_score']:.3f}"
        lines.append(f"| {name} | {figures['runs']} | {figures['passed']} | {rate} | {score} |")
    if result.receipt is None:
        reason = sentence(result.healing.get("reason"))
        lines += [
            "",
            f"No healing was opened ({result.healing['outcome']}): {quoted(reason, _LONGEST)}",
        ]
    if result.improvement_percent is not None:
        lines += ["", f"Average score: +{result.improvement_percent:g} %"]
    if failing := failing_runs(result):
        lines += ["", *(f"- {quoted(line, _LONGEST)}" for line in failing)]
    lines += ["", "![scores of all runs](chart.svg)", ""]
    if result.receipt:
        lines.append(as_markdown(result.receipt))
    return "\n".join(lines)
