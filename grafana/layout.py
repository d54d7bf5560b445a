"""A dashboard of panels: what all dashboards have in common, and its JSON."""

import json
from collections.abc import Iterable, Sequence
from typing import Final, cast

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from grafana.panels import Panel
from grafana.queries import POSTGRES, PROMETHEUS, Sql, load

_LANGSMITH: Final = "https://smith.langchain.com/o/ORGANISATION/projects/p/PROJECT"
_SCHEMA_VERSION: Final = 39  # of Grafana 11


def assemble(
    uid: str,
    title: str,
    description: str,
    panels: Iterable[Panel],
    variables: Sequence[Builder[models.VariableModel]] = (),
    *,
    period: str = "now-6h",
) -> dashboard.Dashboard:
    """Return a dashboard; the panels fill its rows in order."""
    made = dashboard.Dashboard(f"selfheal: {title}").uid(f"selfheal-{uid}").editable()
    made.description(description).tags(["selfheal"]).timezone("browser").refresh("30s")
    made.tooltip(models.DashboardCursorSync.CROSSHAIR).time(period, "now")
    made.links(_links()).annotation(_Releases()).variables([*variables, *_addresses(), _job()])
    for number, panel in enumerate(panels, start=1):
        made.with_panel(panel.id(number))
    return made


def as_text(made: dashboard.Dashboard) -> str:
    """Return a dashboard as the file that is committed."""
    built = made.build()
    built.schema_version = _SCHEMA_VERSION
    return json.dumps(built, cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"


def typed(name: str, label: str, default: str, description: str) -> dashboard.TextBoxVariable:
    """Return a variable that the reader types in."""
    option = models.VariableOption(selected=True, text=default, value=default)
    made = dashboard.TextBoxVariable(name).label(label).description(description)
    return made.default_value(default).current(option).options([option])


def chosen(name: str, label: str, values: Sequence[str]) -> dashboard.CustomVariable:
    """Return a variable of which the reader chooses one value."""
    options = [models.VariableOption(each == values[0], each, each) for each in values]
    made = dashboard.CustomVariable(name).label(label).values(",".join(values))
    return made.current(options[0]).options(options)


def _addresses() -> list[dashboard.TextBoxVariable]:
    console = "where a browser reaches the service, for the links to runs and healings"
    return [
        typed("console", "Service", "http://localhost:8000", console),
        typed("langsmith", "LangSmith project", _LANGSMITH, "its address, for the links to traces"),
    ]


def _job() -> dashboard.QueryVariable:
    """Which deployment: one Prometheus may scrape several."""
    query = {"query": 'label_values({__name__=~"selfheal_.+"}, job)', "refId": "jobs"}
    made = dashboard.QueryVariable("job").label("Job").datasource(PROMETHEUS).query({**query})
    made.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).all_value(".*").include_all(True)
    made.multi(True).sort(models.VariableSort.ALPHABETICAL_ASC).options([])
    return made.current(models.VariableOption(text=["All"], value=["$__all"]))


def _links() -> list[Builder[models.DashboardLink]]:
    own = dashboard.DashboardLink("selfheal").type(models.DashboardLinkType.DASHBOARDS)
    return [
        own.tags(["selfheal"]).include_vars(True).keep_time(True),
        _link("Service", "${console}/docs"),
        _link("LangSmith", "${langsmith}"),
    ]


def _link(title: str, url: str) -> dashboard.DashboardLink:
    made = dashboard.DashboardLink(title).type(models.DashboardLinkType.LINK).url(url)
    return made.icon("external link").target_blank(True)


class _Releases(Builder[models.AnnotationQuery]):
    """The releases as vertical lines."""

    def build(self) -> models.AnnotationQuery:
        """Return the annotation; the SDK has no model of one by SQL."""
        target = cast("models.AnnotationTarget", Sql(load("overview")["releases"]))
        return models.AnnotationQuery(
            "Releases", POSTGRES, enable=True, hide=None, icon_color="purple", target=target
        )
