"""Panels of the kinds that the dashboards use. Width and height are in Grafana's grid of 24."""

from collections.abc import Sequence
from typing import Any

from grafana.model import Json, thresholds

_LETTERS = "ABCDEFGH"
_TOOLTIP = {"mode": "multi", "sort": "desc"}
_STACKED = {"stacking": {"mode": "normal", "group": "A"}}
_PLAIN: Json = {
    "drawStyle": "line",
    "lineWidth": 2,
    "fillOpacity": 8,
    "showPoints": "never",
    "spanNulls": 300_000,
    "axisSoftMin": 0,
}
LINES: Json = {}
STAIRS: Json = {"lineInterpolation": "stepAfter"}
AREAS: Json = {"fillOpacity": 25, **_STACKED}
BARS: Json = {"drawStyle": "bars", "lineWidth": 1, "fillOpacity": 60, **_STACKED}


def _panel(kind: str, title: str, description: str, queries: Sequence[Json], **rest: Any) -> Json:
    # Rows are grouped by no less than a minute: a group of one run says nothing.
    if queries[0].get("format") == "time_series":
        rest["interval"] = "1m"
    targets = [{"refId": letter, **each} for letter, each in zip(_LETTERS, queries, strict=False)]
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": queries[0]["datasource"],
        "targets": targets,
        **rest,
    }


def _fields(unit: str, custom: Json | None = None, **defaults: Any) -> Json:
    given = {name: value for name, value in defaults.items() if value is not None}
    return {"unit": unit, **({"custom": custom} if custom else {}), **given}


def stat(
    title: str,
    description: str,
    *queries: Json,
    unit: str = "short",
    decimals: int | None = None,
    steps: Json | None = None,
    mappings: list[Json] | None = None,
    text: bool = False,
) -> Json:
    """Return a tile with the last value, a word if `text`; its colour says whether that is well."""
    named = "value_and_name" if len(queries) > 1 or "{{" in str(queries) else "value"
    reduced = {"calcs": ["lastNotNull"], "fields": "/.*/" if text else "", "values": False}
    options = {
        "colorMode": "value",
        "graphMode": "area" if named == "value" and queries[0].get("range") else "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": named,
        "reduceOptions": reduced,
    }
    colours = steps or thresholds("text")
    defaults = _fields(unit, decimals=decimals, mappings=mappings, noValue="-", thresholds=colours)
    config = {"defaults": defaults, "overrides": []}
    place = {"w": 4, "h": 4}
    return _panel(
        "stat", title, description, queries, gridPos=place, options=options, fieldConfig=config
    )


def lines(
    title: str,
    description: str,
    *queries: Json,
    unit: str = "short",
    style: Json = LINES,
    steps: Json | None = None,
    overrides: Sequence[Json] = (),
    top: float | None = None,
    calcs: Sequence[str] = ("lastNotNull", "max"),
) -> Json:
    """Return a chart over time, with a table of its series below.

    `steps` draws the thresholds as dashed lines; `top` fixes the scale from 0 to there.
    """
    custom = {**_PLAIN, **style, "thresholdsStyle": {"mode": "dashed" if steps else "off"}}
    bounds = {"min": 0, "max": top} if top is not None else {}
    colours = steps or thresholds("green")
    defaults = _fields(unit, custom, thresholds=colours, noValue="nothing yet", **bounds)
    if steps:
        defaults["color"] = {"mode": "palette-classic"}
    legend = {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": [*calcs]}
    return _panel(
        "timeseries",
        title,
        description,
        queries,
        gridPos={"w": 12, "h": 9},
        options={"legend": legend, "tooltip": _TOOLTIP},
        fieldConfig={"defaults": defaults, "overrides": [*overrides]},
    )


def points(title: str, description: str, *queries: Json, unit: str) -> Json:
    """Return a chart of single events over time, each a point."""
    marks = {"drawStyle": "points", "pointSize": 9, "showPoints": "always"}
    return lines(title, description, *queries, unit=unit, style=marks)


def table(
    title: str,
    description: str,
    query: Json,
    overrides: Sequence[Json] = (),
    *,
    height: int = 9,
    width: int = 24,
) -> Json:
    """Return a table of rows from SQL."""
    defaults = {"custom": {"align": "auto", "filterable": True}, "noValue": "-"}
    return _panel(
        "table",
        title,
        description,
        [query],
        gridPos={"w": width, "h": height},
        options={"showHeader": True, "cellHeight": "sm", "footer": {"show": False, "reducer": []}},
        fieldConfig={"defaults": defaults, "overrides": [*overrides]},
    )


def compared(title: str, description: str, query: Json, *, x: str) -> Json:
    """Return bars beside each other, a group for each value of the column `x`: shares, 0 to 1."""
    options = {
        "xField": x,
        "orientation": "auto",
        "xTickLabelRotation": 0,
        "xTickLabelMaxLength": 24,
        "stacking": "none",
        "showValue": "auto",
        "barWidth": 0.9,
        "groupWidth": 0.7,
        "fullHighlight": False,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    custom = {"fillOpacity": 80, "lineWidth": 1}
    bounds = {"min": 0, "max": 1, "thresholds": thresholds("green"), "noValue": "nothing yet"}
    config = {"defaults": _fields("percentunit", custom, **bounds), "overrides": []}
    return _panel(
        "barchart",
        title,
        description,
        [query],
        gridPos={"w": 12, "h": 9},
        options=options,
        fieldConfig=config,
    )
