"""What Grafana substitutes in a query: its macros, and the dashboard's variables."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

Json = dict[str, Any]
_GROUP: Final = re.compile(
    r"\$__timeGroup(?P<alias>Alias)?\((?P<column>[\w.]+), *(?P<seconds>\d+)s\)"
)
_FILTER: Final = re.compile(r"\$__timeFilter\((?P<column>[\w.]+)\)")
_VARIABLE: Final = re.compile(r"\$\{(?P<braced>\w+)\}|\$(?P<bare>[a-zA-Z]\w*)")


@dataclass(frozen=True)
class Period:
    """The period that a dashboard shows, and the seconds from one point to the next."""

    start: datetime
    end: datetime
    step: int

    def promql(self, expr: str, variables: Mapping[str, str]) -> str:
        """Return a PromQL query as Grafana would send it."""
        whole = int((self.end - self.start).total_seconds())
        spans = {"$__rate_interval": max(4 * self.step, 60), "$__interval": self.step}
        for name, seconds in {**spans, "$__range": whole}.items():
            expr = expr.replace(name, f"{seconds}s")
        return _filled(expr, variables)

    def sql(self, statement: str, variables: Mapping[str, str]) -> str:
        """Return an SQL query as Grafana would send it."""
        first, last = (f"'{each.isoformat()}'" for each in (self.start, self.end))
        statement = statement.replace("$__interval", f"{max(self.step, 60)}s")
        statement = _GROUP.sub(_grouped, statement)
        statement = _FILTER.sub(rf"\g<column> BETWEEN {first} AND {last}", statement)
        statement = statement.replace("$__timeFrom()", first).replace("$__timeTo()", last)
        return _filled(
            statement, {name: each.replace("'", "''") for name, each in variables.items()}
        )


def variables_of(dashboard: Json) -> dict[str, str]:
    """Return the values that a dashboard's variables have at first."""
    listed = dashboard["templating"]["list"]
    return {each["name"]: each.get("allValue") or each["current"]["value"] for each in listed}


def _grouped(found: re.Match[str]) -> str:
    seconds = found["seconds"]
    group = f"floor(extract(epoch from {found['column']})/{seconds})*{seconds}"
    return f'{group} AS "time"' if found["alias"] else group


def _filled(text: str, variables: Mapping[str, str]) -> str:
    """Put the variables in.

    Raises:
        KeyError: there is no such variable.
    """
    return _VARIABLE.sub(lambda found: variables[found["braced"] or found["bare"]], text)
