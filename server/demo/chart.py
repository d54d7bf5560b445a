"""The demo's chart: the score of every run in order, as an SVG that needs no library."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from selfheal.server.cli.output import plain
from selfheal.server.demo.measure import DemoRun
from selfheal.server.demo.play import DemoResult

_WIDTH, _HEIGHT = 900, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 884, 48, 340  # of the plot itself
_LONGEST_MODEL: Final = 60
_INK, _FAINT, _GREEN = "#333333", "#d8d8d8", "#00704a"


@dataclass(frozen=True, slots=True)
class _Mark:
    """The mark of a phase's runs: a colour of Okabe and Ito, and a shape, so that both differ.

    `path` is drawn around the run's position, in units of the mark's size.
    """

    colour: str
    path: str


_MARKS: Final = {
    "before": _Mark("#d55e00", "M-1 -1L1 1M-1 1L1 -1"),
    "after": _Mark("#0072b2", "M-1 0A1 1 0 1 1 1 0A1 1 0 1 1 -1 0Z"),
    "unseen": _Mark("#7b3294", "M0 -1.2L1.2 0L0 1.2L-1.2 0Z"),
}


def chart(result: DemoResult, threshold: float) -> str:
    """Return the chart as an SVG document.

    Args:
        result: of the demo.
        threshold: the score, 0 to 1, from which a run passes.
    """
    svg = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {_WIDTH} {_HEIGHT}",
            "role": "img",
            "aria-labelledby": "title desc",
            "font-family": "system-ui, sans-serif",
            "font-size": "14",
            "fill": _INK,
        },
    )
    title = _title(result)
    _text(svg, title, tag="title", id="title")
    _text(svg, _description(result, threshold), tag="desc", id="desc")
    ET.SubElement(svg, "rect", {"width": "100%", "height": "100%", "fill": "#ffffff"})
    _text(svg, title, x=_LEFT, y=26, font_size=16, font_weight=600)
    _draw_axes(svg, threshold)
    _draw_runs(svg, result)
    _draw_legend(svg, [name for name, _ in result.phases])
    ET.indent(svg, " ")
    return ET.tostring(svg, encoding="unicode") + "\n"


def _title(result: DemoResult) -> str:
    name = (
        result.model if len(result.model) <= _LONGEST_MODEL else result.model[:_LONGEST_MODEL] + "…"
    )
    notice = "SIMULATED: " if result.simulated else ""
    return f"{notice}every run of the demo, {name}"


def _description(result: DemoResult, threshold: float) -> str:
    counted = [
        f"{name}: {measured.passed} of {len(measured.runs)} runs passed,"
        f" average score {measured.average_score:.2f}"
        for name, measured in result.phases
    ]
    return f"Scores from 0 to 1; a run passes from {threshold:g}. " + "; ".join(counted) + "."


def _draw_axes(svg: ET.Element, threshold: float) -> None:
    for score in (0.0, 0.25, 0.5, 0.75, 1.0):
        _line(svg, _LEFT, _y(score), _RIGHT, _y(score), stroke=_FAINT)
        _text(svg, f"{score:g}", x=_LEFT - 8, y=_y(score) + 5, text_anchor="end")
    _line(svg, _LEFT, _y(threshold), _RIGHT, _y(threshold), stroke=_INK, stroke_dasharray="6 4")
    _text(svg, "passes from here", x=_RIGHT, y=_y(threshold) - 6, text_anchor="end", font_size=13)
    _text(svg, "score", x=_LEFT - 8, y=_TOP - 12, text_anchor="end")
    _text(svg, "run", x=_RIGHT, y=_BOTTOM + 40, text_anchor="end")


def _draw_runs(svg: ET.Element, result: DemoResult) -> None:
    total = sum(len(measured.runs) for _, measured in result.phases)
    step = (_RIGHT - _LEFT) / max(total, 1)
    start = 0
    for name, measured in result.phases:
        x = _LEFT + start * step
        if name == "after":
            _line(svg, x, _TOP, x, _BOTTOM, stroke=_GREEN, stroke_width=2)
            _text(svg, "healed prompt goes live", x=x + 6, y=_BOTTOM - 8, fill=_GREEN)
        _text(svg, str(start + 1), x=x + step / 2, y=_BOTTOM + 20, text_anchor="middle")
        _draw_phase(svg, name, measured.runs, x, step)
        start += len(measured.runs)
    _text(svg, str(total), x=_RIGHT - step / 2, y=_BOTTOM + 20, text_anchor="middle")


def _draw_phase(
    svg: ET.Element, name: str, runs: Sequence[DemoRun], left: float, step: float
) -> None:
    group = ET.SubElement(svg, "g", _look(name))
    size = min(5.0, max(1.5, step * 0.4))
    for place, run in enumerate(runs):
        x = left + (place + 0.5) * step
        mark = _mark(group, name, x, _y(run.score), size)
        _text(mark, f"{name}, {run.outcome}, score {run.score:.2f}", tag="title")


def _draw_legend(svg: ET.Element, names: Sequence[str]) -> None:
    for place, name in enumerate(names):
        x = _LEFT + 8 + place * 110
        _mark(ET.SubElement(svg, "g", _look(name)), name, x, _HEIGHT - 20, 5.0)
        _text(svg, name, x=x + 14, y=_HEIGHT - 15)


def _look(name: str) -> dict[str, str]:
    return {"fill": _MARKS[name].colour, "stroke": _MARKS[name].colour}


def _mark(group: ET.Element, name: str, x: float, y: float, size: float) -> ET.Element:
    place = f"translate({x:.1f} {y:.1f}) scale({size:.2f})"
    return ET.SubElement(
        group,
        "path",
        {"d": _MARKS[name].path, "transform": place, "stroke-width": f"{2 / size:.2f}"},
    )


def _y(score: float) -> float:
    return _BOTTOM - score * (_BOTTOM - _TOP)


def _line(svg: ET.Element, x1: float, y1: float, x2: float, y2: float, **look: str | float) -> None:
    places = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    ET.SubElement(svg, "line", _attributes({**places, **look}))


def _text(parent: ET.Element, text: str, tag: str = "text", **look: str | float) -> None:
    """Add a text; control characters, which XML does not allow, are replaced."""
    ET.SubElement(parent, tag, _attributes(look)).text = plain(text)


def _attributes(look: dict[str, str | float]) -> dict[str, str]:
    return {
        name.replace("_", "-"): f"{value:.1f}" if isinstance(value, float) else str(value)
        for name, value in look.items()
    }
