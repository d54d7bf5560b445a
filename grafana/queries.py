"""The data sources and the queries of panels; the SQL is in `grafana/sql/`."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.prometheus import QueryEditorMode

PROMETHEUS: Final = DataSourceRef("prometheus", "prometheus")
POSTGRES: Final = DataSourceRef("grafana-postgresql-datasource", "selfheal-postgres")
_NAME: Final = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@dataclass
class Sql(Builder[Dataquery], Dataquery):
    """An SQL query, which the SDK has no model of; as a series, of columns time, metric, value."""

    statement: str
    series: bool = False
    ref: str = "Anno"

    def ref_id(self, ref: str) -> Self:
        """Set the letter of the query in its panel."""
        self.ref = ref
        return self

    def build(self) -> Dataquery:
        """Return the query."""
        return self

    def to_json(self) -> dict[str, object]:
        """Return the query as Grafana's Postgres plug-in reads it."""
        return {
            "refId": self.ref,
            "datasource": POSTGRES,
            "rawSql": self.statement.strip(),
            "format": "time_series" if self.series else "table",
            "rawQuery": True,
            "editorMode": "code",
        }


Query = prometheus.Dataquery | Sql


def prom(expr: str, legend: str = "", *, instant: bool = False) -> prometheus.Dataquery:
    """Return a PromQL query; `legend` may name labels as {{label}}."""
    query = prometheus.Dataquery().expr(expr).legend_format(legend or "__auto")
    query.datasource(PROMETHEUS).editor_mode(QueryEditorMode.CODE)
    return query.instant() if instant else query.range()


def load(family: str) -> dict[str, str]:
    """Return the queries of `grafana/sql/<family>.sql`, each under its `-- name:`."""
    text = (Path(__file__).parent / "sql" / f"{family}.sql").read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    return {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}
