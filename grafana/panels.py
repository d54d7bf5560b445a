"""Panels of the kinds that the dashboards use. Width and height are in Grafana's grid of 24."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from grafana_foundation_sdk.builders import barchart, common, dashboard, table, timeseries
from grafana_foundation_sdk.builders import stat as stats
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as models

from grafana.queries import POSTGRES, PROMETHEUS, Query, Sql

Panel = barchart.Panel | stats.Panel | table.Panel | timeseries.Panel
Style = Callable[[timeseries.Panel], timeseries.Panel]
Override = tuple[str, list[models.DynamicConfigValue]]
_P = TypeVar("_P", barchart.Panel, stats.Panel, table.Panel, timeseries.Panel)
_COLOURS: Final = {
    "ok": "green",
    "failed": "orange",
    "output": "yellow",
    "limited": "yellow",
    "timeout": "purple",
    "request": "text",
    "infrastructure": "red",
    "model": "purple",
    "evaluation": "blue",
    "error": "red",
    "unavailable": "red",
    "rejected": "orange",
    "canary": "blue",
    "promoted": "green",
    "healthy": "text",
    "take_back": "red",
    "rollback": "orange",
}


def thresholds(base: str, *steps: tuple[float, str]) -> dashboard.ThresholdsConfig:
    """Return colours by value: `base` below the first step."""
    listed = [models.Threshold(value, colour) for value, colour in ((None, base), *steps)]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(listed)


def words(names: dict[str, tuple[str, str]]) -> list[models.ValueMapping]:
    """Return a mapping of values to words and colours."""
    shown = {
        value: models.ValueMappingResult(text, colour, index=index)
        for index, (value, (text, colour)) in enumerate(names.items())
    }
    return [models.ValueMap(shown)]


def override(name: str, **properties: Any) -> Override:
    """Return what is special about a column or a series; __ stands for a dot in a property."""
    return name, [
        models.DynamicConfigValue(key.replace("__", "."), value)
        for key, value in properties.items()
    ]


def coloured(*names: str) -> list[Override]:
    """Give series of these names the colours that they have everywhere."""
    return [override(name, color={"mode": "fixed", "fixedColor": _COLOURS[name]}) for name in names]


def link(title: str, url: str) -> dict[str, object]:
    """Return a link of a value to elsewhere."""
    return {"title": title, "url": url, "targetBlank": True}


def stairs(panel: timeseries.Panel) -> timeseries.Panel:
    """Draw steps: a value holds until the next one."""
    return panel.line_interpolation(kinds.LineInterpolation.STEP_AFTER)


def areas(panel: timeseries.Panel) -> timeseries.Panel:
    """Draw areas on top of each other."""
    return panel.fill_opacity(25).stacking(_stacked())


def bars(panel: timeseries.Panel) -> timeseries.Panel:
    """Draw bars on top of each other."""
    panel.draw_style(kinds.GraphDrawStyle.BARS).line_width(1)
    return panel.fill_opacity(60).stacking(_stacked())


def points(panel: timeseries.Panel) -> timeseries.Panel:
    """Draw single events."""
    panel.draw_style(kinds.GraphDrawStyle.POINTS).point_size(9)
    return panel.show_points(kinds.VisibilityMode.ALWAYS)


def _stacked() -> common.StackingConfig:
    return common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A")


def _filled(
    panel: _P,
    title: str,
    description: str,
    queries: Sequence[Query],
    overrides: Sequence[Override] = (),
    *,
    width: int,
    height: int,
) -> _P:
    """Give a panel its texts, queries, overrides and size."""
    series = [each for each in queries if isinstance(each, Sql) and each.series]
    panel.title(title).description(description).span(width).height(height)
    panel.datasource(POSTGRES if isinstance(queries[0], Sql) else PROMETHEUS)
    for letter, query in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(query.ref_id(letter))
    for name, properties in overrides:
        panel.override_by_name(name, properties)
    # Rows are grouped by no less than a minute: a group of one run says nothing.
    return panel.interval("1m") if series else panel


def stat(
    title: str,
    description: str,
    *queries: Query,
    unit: str = "short",
    decimals: int | None = None,
    steps: dashboard.ThresholdsConfig | None = None,
    mappings: list[models.ValueMapping] | None = None,
    text: bool = False,
    named: bool = False,
) -> stats.Panel:
    """Return a tile with the last value, coloured by `steps`.

    Args:
        title: of the panel.
        description: what it shows, and what its limits mean.
        queries: whose last values are shown.
        unit: in Grafana's words.
        decimals: places after the point.
        steps: colours by value.
        mappings: words for values.
        text: the value is a text.
        named: the legend stands beside the value.
    """
    panel = _filled(stats.Panel(), title, description, queries, width=4, height=4)
    panel.unit(unit).no_value("-").thresholds(steps or thresholds("text"))
    if decimals is not None:
        panel.decimals(decimals)
    if mappings is not None:
        panel.mappings(mappings)
    timed = not named and not isinstance(queries[0], Sql) and bool(queries[0].build().range_val)
    panel.graph_mode(kinds.BigValueGraphMode.AREA if timed else kinds.BigValueGraphMode.NONE)
    panel.text_mode(
        kinds.BigValueTextMode.VALUE_AND_NAME if named else kinds.BigValueTextMode.VALUE
    )
    reduced = common.ReduceDataOptions().calcs(["lastNotNull"]).fields("/.*/" if text else "")
    panel.color_mode(kinds.BigValueColorMode.VALUE).orientation(kinds.VizOrientation.AUTO)
    return panel.justify_mode(kinds.BigValueJustifyMode.AUTO).reduce_options(reduced.values(False))


def lines(
    title: str,
    description: str,
    *queries: Query,
    unit: str = "short",
    style: Style = lambda panel: panel,
    steps: dashboard.ThresholdsConfig | None = None,
    overrides: Sequence[Override] = (),
    top: float | None = None,
    calcs: Sequence[str] = ("lastNotNull", "max"),
) -> timeseries.Panel:
    """Return a chart over time, with a table of its series below.

    `steps` draws the thresholds as dashed lines; `top` fixes the scale from 0 to there.
    """
    panel = _filled(timeseries.Panel(), title, description, queries, overrides, width=12, height=9)
    panel.unit(unit).no_value("nothing yet").thresholds(steps or thresholds("green"))
    panel.draw_style(kinds.GraphDrawStyle.LINE).line_width(2).fill_opacity(8)
    panel.show_points(kinds.VisibilityMode.NEVER).span_nulls(300_000).axis_soft_min(0)
    lined = kinds.GraphTresholdsStyleMode.DASHED if steps else kinds.GraphTresholdsStyleMode.OFF
    panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(lined))
    if steps:
        panel.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC))
    if top is not None:
        panel.min(0).max(top)
    tooltip = common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI)
    panel.tooltip(tooltip.sort(kinds.SortOrder.DESCENDING))
    return style(panel.legend(_legend(kinds.LegendDisplayMode.TABLE, calcs)))


def _legend(mode: kinds.LegendDisplayMode, calcs: Sequence[str]) -> common.VizLegendOptions:
    legend = common.VizLegendOptions().display_mode(mode).show_legend(True).calcs([*calcs])
    return legend.placement(kinds.LegendPlacement.BOTTOM)


def rows(
    title: str,
    description: str,
    query: Query,
    overrides: Sequence[Override] = (),
    *,
    width: int = 24,
) -> table.Panel:
    """Return a table of rows from SQL."""
    panel = _filled(table.Panel(), title, description, [query], overrides, width=width, height=9)
    footer = common.TableFooterOptions().show(False).reducer([])
    config = panel.no_value("-").build().field_config
    config.defaults.custom = {"align": "auto", "filterable": True}  # no builder has it
    return panel.show_header(True).cell_height(kinds.TableCellHeight.SM).footer(footer)


def compared(title: str, description: str, query: Query, *, x: str) -> barchart.Panel:
    """Return bars beside each other, a group for each value of the column `x`: shares, 0 to 1."""
    panel = _filled(barchart.Panel(), title, description, [query], width=12, height=9)
    panel.unit("percentunit").no_value("nothing yet").thresholds(thresholds("green"))
    panel.min(0).max(1).fill_opacity(80).line_width(1).x_field(x).x_tick_label_max_length(24)
    panel.orientation(kinds.VizOrientation.AUTO).x_tick_label_rotation(0).full_highlight(False)
    panel.stacking(kinds.StackingMode.NONE).show_value(kinds.VisibilityMode.AUTO)
    panel.bar_width(0.9).group_width(0.7)
    tooltip = common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.SINGLE)
    panel.tooltip(tooltip.sort(kinds.SortOrder.NONE))
    return panel.legend(_legend(kinds.LegendDisplayMode.LIST, ()))
