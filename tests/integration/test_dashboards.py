"""Grafana's dashboards without a Grafana: their JSON, what it leads to, and their PromQL."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import promql_parser
import pytest
import yaml

from grafana.__main__ import files
from tests.support.dashboards import FOLDER, Json, dashboards, metrics, queries
from tests.support.grafana_macros import Period, variables_of

_NAMES = ("healing", "operations", "overview")
_NOW = datetime.now(UTC)
_PERIOD = Period(_NOW - timedelta(hours=6), _NOW, 15)
_OF_THE_ENVIRONMENT = {
    "SELFHEAL_PROMETHEUS_URL",
    "SELFHEAL_GRAFANA_POSTGRES",
    "SELFHEAL_GRAFANA_DATABASE",
    "SELFHEAL_GRAFANA_USER",
    "SELFHEAL_GRAFANA_PASSWORD",
    "SELFHEAL_GRAFANA_SSLMODE",
}


@pytest.fixture(params=_NAMES)
def dashboard(request: pytest.FixtureRequest) -> Json:
    return dashboards()[request.param]


def test_what_is_committed_is_what_the_code_makes() -> None:
    assert {path.stem for path, _ in files()} == set(dashboards()) == set(_NAMES)
    for path, text in files():
        assert path.read_text(encoding="utf-8") == text, "run python -m grafana"


def test_dashboards_have_uids_of_their_own() -> None:
    assert len({each["uid"] for each in dashboards().values()}) == len(_NAMES)


def test_ids_and_titles_are_unique(dashboard: Json) -> None:
    for key in ("id", "title"):
        values = [panel[key] for panel in dashboard["panels"]]
        assert len(set(values)) == len(values), key
    for panel in dashboard["panels"]:
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)


def test_panels_stand_beside_each_other(dashboard: Json) -> None:
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)


def test_each_panel_says_what_it_shows(dashboard: Json) -> None:
    for panel in dashboard["panels"]:
        assert len(panel["description"]) > 15, panel["title"]
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["type"] == "table" or defaults["unit"], panel["title"]


def test_data_sources_are_the_provisioned_ones(dashboard: Json) -> None:
    file = FOLDER / "provisioning" / "datasources" / "selfheal.yaml"
    sources = yaml.safe_load(file.read_text(encoding="utf-8"))["datasources"]
    provisioned = {(each["type"], each["uid"]) for each in sources}
    used = {(each["type"], each["uid"]) for each in _data_sources(dashboard)}
    assert used == provisioned


def _data_sources(value: Any) -> Iterator[Json]:
    if isinstance(value, dict):
        yield from [value["datasource"]] if "datasource" in value else []
        value = [*value.values()]
    if isinstance(value, list):
        for each in value:
            yield from _data_sources(each)


def test_provisioning_reads_what_the_readme_says() -> None:
    text = (FOLDER / "provisioning" / "datasources" / "selfheal.yaml").read_text(encoding="utf-8")
    assert {*re.findall(r"\$\{(\w+)\}", text)} == _OF_THE_ENVIRONMENT
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(name in readme for name in _OF_THE_ENVIRONMENT)
    provider = FOLDER / "provisioning" / "dashboards" / "selfheal.yaml"
    assert yaml.safe_load(provider.read_text(encoding="utf-8"))["providers"][0]["type"] == "file"


def test_links_name_variables_that_there_are(dashboard: Json) -> None:
    known = {*variables_of(dashboard), "__value.raw"}
    links = [each for each in _links(dashboard) if each.get("url")]
    assert links
    for each in links:
        named = re.findall(r"\$\{([\w.]+)\}", each["url"])
        assert named, each
        assert {*named} <= known, each


def _links(value: Any) -> Iterator[Json]:
    if isinstance(value, dict):
        yield from [value] if "url" in value else []
        value = [*value.values()]
    if isinstance(value, list):
        for each in value:
            yield from _links(each)


def test_promql_parses_and_names_known_metrics(dashboard: Json) -> None:
    asked = [*queries(dashboard, "expr")]
    assert asked
    for title, expr in asked:
        tree = promql_parser.parse(_PERIOD.promql(expr, variables_of(dashboard)))
        found = _metrics(tree)
        assert found, title
        assert found <= metrics(), title


def _metrics(tree: promql_parser.Expr) -> set[str]:
    found: set[str] = set()

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector) and node.name:
            found.add(node.name)

    promql_parser.walk(tree, visit)
    return found
