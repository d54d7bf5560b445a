"""A dashboard of panels: their places, what all dashboards have in common, and JSON."""

import json
from collections.abc import Iterable, Sequence

from grafana.model import POSTGRES, PROMETHEUS, Json, link
from grafana.queries import load

_WIDTH = 24


def board(
    uid: str,
    title: str,
    description: str,
    panels: Iterable[Json],
    variables: Sequence[Json] = (),
    *,
    period: str = "now-6h",
) -> Json:
    """Return a dashboard; the panels fill its rows in order."""
    return {
        "uid": f"selfheal-{uid}",
        "title": f"selfheal: {title}",
        "description": description,
        "tags": ["selfheal"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "browser",
        "time": {"from": period, "to": "now"},
        "refresh": "30s",
        "links": _links(),
        "templating": {"list": [*variables, *_addresses(), _job()]},
        "annotations": {"list": [_releases()]},
        "panels": placed(panels),
    }


def placed(panels: Iterable[Json]) -> list[Json]:
    """Give each panel a number and its place: from left to right, then a new row."""
    x = y = height = 0
    done = []
    for number, panel in enumerate(panels, start=1):
        place = panel["gridPos"]
        if x + place["w"] > _WIDTH:
            x, y, height = 0, y + height, 0
        done.append({"id": number, **panel, "gridPos": {**place, "x": x, "y": y}})
        x, height = x + place["w"], max(height, place["h"])
    return done


def as_text(dashboard: Json) -> str:
    """Return a dashboard as the file that is committed."""
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


def typed(name: str, label: str, default: str, description: str) -> Json:
    """Return a variable that the reader types in."""
    return {
        "type": "textbox",
        "name": name,
        "label": label,
        "description": description,
        "query": default,
        "current": {"text": default, "value": default},
        "options": [{"text": default, "value": default, "selected": True}],
    }


def chosen(name: str, label: str, values: Sequence[str]) -> Json:
    """Return a variable of which the reader chooses one value."""
    options = [{"text": each, "value": each, "selected": each == values[0]} for each in values]
    return {
        "type": "custom",
        "name": name,
        "label": label,
        "query": ",".join(values),
        "current": {"text": values[0], "value": values[0]},
        "options": options,
    }


def _addresses() -> list[Json]:
    project = "https://smith.langchain.com/o/ORGANISATION/projects/p/PROJECT"
    console = "where a browser reaches the service, for the links to runs and healings"
    return [
        typed("console", "Service", "http://localhost:8000", console),
        typed("langsmith", "LangSmith project", project, "the project's address there, for links"),
    ]


def _job() -> Json:
    """Which deployment: one Prometheus may scrape several."""
    return {
        "type": "query",
        "name": "job",
        "label": "Job",
        "datasource": PROMETHEUS,
        "query": {"query": 'label_values({__name__=~"selfheal_.+"}, job)', "refId": "jobs"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
        "options": [],
    }


def _links() -> list[Json]:
    common = {"includeVars": True, "keepTime": True, "targetBlank": False, "asDropdown": False}
    own = {"type": "dashboards", "title": "selfheal", "tags": ["selfheal"], **common}
    outside = {"type": "link", "tags": [], "icon": "external link"}
    return [
        own,
        {**outside, **link("Service", "${console}/docs")},
        {**outside, **link("LangSmith", "${langsmith}")},
    ]


def _releases() -> Json:
    query = {"refId": "Anno", "rawSql": load("overview")["releases"], "format": "table"}
    return {
        "name": "Releases",
        "datasource": POSTGRES,
        "enable": True,
        "iconColor": "purple",
        "target": {**query, "rawQuery": True, "editorMode": "code"},
    }
