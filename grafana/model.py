"""The smallest pieces of Grafana's JSON: data sources, queries, fields."""

from typing import Any, Final

Json = dict[str, Any]

PROMETHEUS: Final[Json] = {"type": "prometheus", "uid": "prometheus"}
POSTGRES: Final[Json] = {"type": "grafana-postgresql-datasource", "uid": "selfheal-postgres"}
COLOURS: Final = {
    "ok": "green",
    "true": "green",
    "finished": "green",
    "failed": "orange",
    "output": "yellow",
    "false": "orange",
    "limited": "yellow",
    "timeout": "purple",
    "request": "text",
    "infrastructure": "red",
    "model": "purple",
    "evaluation": "blue",
    "error": "red",
    "unavailable": "red",
    "rejected": "orange",
    "needs_approval": "yellow",
    "canary": "blue",
    "promoted": "green",
    "frozen": "light-blue",
    "healthy": "text",
    "take_back": "red",
    "rollback": "orange",
}


def prom(expr: str, legend: str = "", *, instant: bool = False) -> Json:
    """Return a PromQL query; `legend` may name labels as {{label}}."""
    kind = {"instant": True, "range": False} if instant else {"instant": False, "range": True}
    return {
        "datasource": PROMETHEUS,
        "expr": expr,
        "legendFormat": legend or "__auto",
        "editorMode": "code",
        **kind,
    }


def sql(statement: str, *, series: bool = False) -> Json:
    """Return an SQL query; with `series`, of the columns time, metric and value."""
    return {
        "datasource": POSTGRES,
        "rawSql": statement.strip(),
        "format": "time_series" if series else "table",
        "rawQuery": True,
        "editorMode": "code",
    }


def thresholds(base: str, *steps: tuple[float, str]) -> Json:
    """Return colours by value: `base` below the first step."""
    listed = [{"value": value, "color": colour} for value, colour in steps]
    return {"mode": "absolute", "steps": [{"value": None, "color": base}, *listed]}


def words(names: dict[str, tuple[str, str]]) -> list[Json]:
    """Return a mapping of values to words and colours."""
    shown = {
        value: {"text": text, "color": colour, "index": index}
        for index, (value, (text, colour)) in enumerate(names.items())
    }
    return [{"type": "value", "options": shown}]


def override(name: str, **properties: Any) -> Json:
    """Return what is special about a column or a series; __ stands for a dot in a property."""
    listed = [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": listed}


def coloured(*names: str) -> list[Json]:
    """Give series of these names the colours that they have everywhere."""
    return [override(name, color={"mode": "fixed", "fixedColor": COLOURS[name]}) for name in names]


def link(title: str, url: str) -> Json:
    """Return a link of a value to elsewhere."""
    return {"title": title, "url": url, "targetBlank": True}
