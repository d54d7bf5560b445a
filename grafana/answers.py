"""What Prometheus and Postgres answer to a panel's queries."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import psycopg

from grafana.macros import Period
from grafana.model import Json

Series = list[tuple[float, float]]


@dataclass
class Answer:
    """Series by their legend, points as (seconds since 1970, value); or a table."""

    series: dict[str, Series] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)
    rows: list[tuple[Any, ...]] = field(default_factory=list)


@dataclass(frozen=True)
class Sources:
    """Where to ask: a source that is None has no answers."""

    period: Period
    variables: Mapping[str, str]
    prometheus: httpx.Client | None
    postgres: psycopg.Connection[tuple[Any, ...]] | None

    def ask(self, panel: Json) -> Answer:
        """Return the answers to all queries of a panel.

        Raises:
            httpx.HTTPError: Prometheus cannot be reached, or refuses a query.
            psycopg.Error: Postgres refuses a query.
        """
        answer = Answer()
        for target in panel["targets"]:
            if "expr" in target and self.prometheus is not None:
                answer.series |= self._range(self.prometheus, target, panel["title"])
            elif "rawSql" in target and self.postgres is not None:
                self._select(self.postgres, target, answer)
        return answer

    def _range(self, client: httpx.Client, target: Json, title: str) -> dict[str, Series]:
        query = self.period.promql(target["expr"], self.variables)
        start, end = self.period.start.timestamp(), self.period.end.timestamp()
        asked = {"query": query, "start": start, "end": end, "step": self.period.step}
        reply = client.post("/api/v1/query_range", data=asked).raise_for_status().json()
        found = reply["data"]["result"]
        return {
            _legend(target["legendFormat"], each["metric"], title): [
                (float(at), float(value)) for at, value in each["values"]
            ]
            for each in found
        }

    def _select(
        self, connection: psycopg.Connection[tuple[Any, ...]], target: Json, answer: Answer
    ) -> None:
        statement = self.period.sql(target["rawSql"], self.variables)
        cursor = connection.execute(statement.encode())
        columns = [column.name for column in cursor.description or ()]
        rows = cursor.fetchall()
        if target["format"] == "table":
            answer.columns, answer.rows = columns, rows
            return
        for at, name, value in rows:
            seconds = at.timestamp() if isinstance(at, datetime) else float(at)
            answer.series.setdefault(str(name), []).append((seconds, float(value)))


def _legend(wanted: str, labels: Mapping[str, str], title: str) -> str:
    if wanted == "__auto":
        return ", ".join(labels.values()) or title
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), wanted)
