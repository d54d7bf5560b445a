"""Panels drawn with matplotlib: their data and places, not Grafana's looks."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from grafana.answers import Answer, Series
from grafana.macros import Period
from grafana.model import Json

_COLOURS: Final = {
    "green": "#56a64b",
    "orange": "#ff780a",
    "yellow": "#e0b400",
    "red": "#e02f44",
    "blue": "#3274d9",
    "light-blue": "#8ab8ff",
    "purple": "#a352cc",
    "text": "#444444",
}
_INCH: Final = (0.75, 0.42)  # of one step of Grafana's grid


def draw(
    dashboard: Json, answers: Mapping[int, Answer], releases: Answer, period: Period
) -> Figure:
    """Return a figure of all panels in their places."""
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    rows = max(place["y"] + place["h"] for place in places) + 1.5
    figure = Figure(figsize=(24 * _INCH[0], rows * _INCH[1]))
    figure.suptitle(dashboard["title"], y=1 - 0.5 / rows, fontsize=16, fontweight="bold")
    with rc_context({"date.converter": "concise"}):
        for panel in dashboard["panels"]:
            axes = figure.add_axes(_place(panel, rows))
            _panel(axes, panel, answers[panel["id"]], releases, period)
    return figure


def _place(panel: Json, rows: float) -> tuple[float, float, float, float]:
    """Return left, bottom, width, height as shares of the figure, with room for title and scale."""
    at = panel["gridPos"]
    charts = panel["type"] in ("timeseries", "barchart")
    room = (1.3, 0.4, 1.1, 2.6) if charts else (0.2, 0.2, 1.1, 0.2)
    left, right, top, bottom = room
    width, height = at["w"] - left - right, at["h"] - top - bottom
    y = rows - 1.5 - at["y"] - at["h"] + bottom
    return ((at["x"] + left) / 24, y / rows, width / 24, height / rows)


def _panel(axes: Any, panel: Json, answer: Answer, releases: Answer, period: Period) -> None:
    axes.set_title(panel["title"], loc="left", fontsize=10, fontweight="bold")
    empty = not answer.series and not answer.rows
    if empty or panel["type"] in ("stat", "table"):
        axes.set_axis_off()
    if empty:
        nothing = panel["fieldConfig"]["defaults"].get("noValue", "-")
        axes.text(0.5, 0.5, nothing, ha="center", va="center", color="#999999", fontsize=14)
    elif panel["type"] == "stat":
        _stat(axes, panel, answer)
    elif panel["type"] == "table":
        _table(axes, panel, answer)
    elif panel["type"] == "barchart":
        _groups(axes, panel, answer)
    else:
        _chart(axes, panel, answer, releases, period)


def _stat(axes: Any, panel: Json, answer: Answer) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    values: dict[str, Any] = {name: points[-1][1] for name, points in answer.series.items()}
    values = values or {"": answer.rows[0][0]}
    for place, (name, value) in enumerate(values.items()):
        text, colour = _shown(value, defaults)
        if panel["options"]["textMode"] == "value_and_name":
            text = f"{name} {text}"
        y = (len(values) - place - 0.5) / len(values)
        size = 22 if len(values) == 1 and len(text) < 14 else 13
        axes.text(0.5, y, text, ha="center", va="center", color=_COLOURS[colour], fontsize=size)


def _shown(value: Any, defaults: Json) -> tuple[str, str]:
    """Return a value as text, and its colour by mapping or threshold."""
    for mapping in defaults.get("mappings", ()):
        if isinstance(value, float) and (found := mapping["options"].get(f"{value:g}")):
            return found["text"], found["color"]
    if value is None or isinstance(value, str):
        return value or defaults.get("noValue", "-"), "text"
    colour = "text"
    for step in defaults["thresholds"]["steps"]:
        colour = step["color"] if step["value"] is None or value >= step["value"] else colour
    return with_unit(float(value), defaults["unit"], defaults.get("decimals")), colour


def with_unit(value: float, unit: str, decimals: int | None = None) -> str:
    """Return a value as Grafana would write it, roughly."""
    digits = decimals if decimals is not None else 0 if value == int(value) else 2
    if unit == "percentunit":
        return f"{100 * value:.{decimals or 0}f} %"
    known = {"s": " s", "percent": " %", "short": "", "currencyUSD": ""}
    before = "$" if unit == "currencyUSD" else ""
    return f"{before}{value:,.{digits}f}{known.get(unit, unit.removeprefix('suffix:'))}"


def _table(axes: Any, panel: Json, answer: Answer) -> None:
    """Draw the first rows, in columns as wide as what is in them."""
    units = {each["matcher"]["options"]: _units(each) for each in panel["fieldConfig"]["overrides"]}
    rows = [
        [_cell(value, *units.get(name, ("short", None))) for name, value in named]
        for named in (zip(answer.columns, row, strict=True) for row in answer.rows)
    ][: round(panel["gridPos"]["h"] * 1.4) - 1]
    lengths = [max(map(len, column)) + 2 for column in zip(answer.columns, *rows, strict=True)]
    height = (len(rows) + 1) / round(panel["gridPos"]["h"] * 1.4)
    drawn = axes.table(
        rows,
        colLabels=answer.columns,
        colWidths=[length / sum(lengths) for length in lengths],
        cellLoc="left",
        bbox=(0, 1 - height, 1, height),
        edges="horizontal",
    )
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(8 if panel["gridPos"]["w"] == 24 else 6)


def _units(override: Json) -> tuple[str, int | None]:
    properties = {each["id"]: each["value"] for each in override["properties"]}
    return properties.get("unit", "short"), properties.get("decimals")


def _cell(value: Any, unit: str, decimals: int | None) -> str:
    if isinstance(value, datetime):
        return f"{value:%m-%d %H:%M:%S}"
    if isinstance(value, int | float):
        return with_unit(value, unit, decimals)
    return "" if value is None else str(value)


def _groups(axes: Any, panel: Json, answer: Answer) -> None:
    """Draw the columns after the first as bars beside each other, a group for each row."""
    names = answer.columns[1:]
    for place, name in enumerate(names):
        heights = [row[place + 1] or 0 for row in answer.rows]
        x = [row + (place + 0.5) / len(names) * 0.7 - 0.35 for row in range(len(heights))]
        axes.bar(x, heights, 0.7 / len(names) * 0.9, label=name)
    axes.set_xticks(range(len(answer.rows)), [row[0] for row in answer.rows], fontsize=8)
    _scale(axes, panel)


def _chart(axes: Any, panel: Json, answer: Answer, releases: Answer, period: Period) -> None:
    config = panel["fieldConfig"]
    fixed = {
        each["matcher"]["options"]: _COLOURS[found["value"]["fixedColor"]]
        for each in config["overrides"]
        for found in each["properties"]
        if found["id"] == "color"
    }
    _marks(axes, config["defaults"], answer.series, fixed, max(period.step, 60))
    for row in releases.rows:
        axes.axvline(row[0], color=_COLOURS["purple"], linewidth=1, alpha=0.7)
    if config["defaults"]["custom"]["thresholdsStyle"]["mode"] != "off":
        for step in config["defaults"]["thresholds"]["steps"][1:]:
            axes.axhline(step["value"], color=_COLOURS[step["color"]], linestyle="--", linewidth=1)
    axes.set_xlim(period.start, period.end)
    axes.xaxis.get_offset_text().set_visible(False)
    _scale(axes, panel)


def _marks(
    axes: Any,
    defaults: Json,
    series: Mapping[str, Series],
    fixed: Mapping[str, str],
    seconds: int,
) -> None:
    custom = defaults["custom"]
    floor: dict[float, float] = {}
    for place, (name, points) in enumerate(series.items()):
        times = [datetime.fromtimestamp(at, UTC) for at, _ in points]
        values = [value for _, value in points]
        below = [floor.get(at, 0.0) for at, _ in points]
        label = f"{name}: {with_unit(values[-1], defaults['unit'])}"
        style = {"label": label, "color": fixed.get(name, f"C{place % 10}")}
        if custom["drawStyle"] == "points":
            axes.plot(times, values, "o", markersize=8, **style)
        elif custom["drawStyle"] == "bars":
            width = timedelta(seconds=seconds)
            axes.bar(times, values, width, bottom=below, align="edge", **style)
        elif "stacking" in custom:
            above = [low + value for low, value in zip(below, values, strict=True)]
            axes.fill_between(times, below, above, alpha=0.5, **style)
        else:
            stairs = "steps-post" if "lineInterpolation" in custom else "default"
            axes.plot(times, values, drawstyle=stairs, **style)
        if "stacking" in custom:
            floor.update({at: floor.get(at, 0.0) + value for at, value in points})


def _scale(axes: Any, panel: Json) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    unit = defaults["unit"]
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: with_unit(value, unit)))
    axes.set_ylim(0, defaults.get("max", axes.get_ylim()[1]))
    axes.tick_params(labelsize=7)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(-0.01, -0.14), ncols=4, frameon=False)
