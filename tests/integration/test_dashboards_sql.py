"""The dashboards' SQL through the role that reads it, and what that role may not."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import (
    InsufficientPrivilege,
    ObjectNotInPrerequisiteState,
    ReadOnlySqlTransaction,
)
from psycopg.rows import dict_row

from tests.support.dashboards import Json, dashboards, fill, make_role, queries, reader
from tests.support.grafana_macros import Period, variables_of

_SQL = [
    (f"{name}: {title}", dashboard, statement)
    for name, dashboard in dashboards().items()
    for title, statement in queries(dashboard, "rawSql")
]
_WRITES = (
    "INSERT INTO grafana.payments (calls) VALUES (1)",
    "INSERT INTO grafana.releases (id) VALUES (1)",
    "UPDATE grafana.runs SET score = 1",
    "DELETE FROM grafana.healings",
    "INSERT INTO public.pauses (paused, reason, actor) VALUES (true, '{}', '')",
    "TRUNCATE public.runs",
    "CREATE TABLE public.mine (n int)",
    "CREATE TABLE grafana.mine (n int)",
    "CREATE TEMPORARY TABLE mine (n int)",
    "CREATE SCHEMA mine",
    "CREATE VIEW grafana.mine AS SELECT 1",
    "CREATE FUNCTION grafana.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "ALTER VIEW grafana.runs RENAME TO mine",
    "DROP VIEW grafana.runs",
    "SET search_path = public; SELECT hold_claim(gen_random_uuid(), gen_random_uuid())",
    "SELECT nextval('public.payments_id_seq')",
    "SELECT setval('public.releases_id_seq', 1)",
    "SET search_path = public; SELECT procrastinate_retry_job_v1(1, now(), 1, 'q', 'l')",
    "CREATE ROLE mine",
    "ALTER SYSTEM SET work_mem = '1MB'",
)
_READS = (
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_read_file('postgresql.conf')",
    "SELECT pg_ls_dir('.')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(1, '/tmp/mine')",
    "COPY (SELECT 1) TO '/tmp/mine'",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "SELECT rolpassword FROM pg_authid",
    "SELECT * FROM pg_hba_file_rules",
    "TABLE public.keys",
    "SET ROLE selfheal",
    "SET SESSION AUTHORIZATION selfheal",
)
_RELATIONS = b"""
SELECT relname::text AS name FROM pg_class
WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
"""
# No view is of one table alone: there is nothing that could be written through one.
_REFUSALS = (InsufficientPrivilege, ObjectNotInPrerequisiteState)
Reading = psycopg.AsyncConnection[dict[str, object]]


@pytest.fixture
async def reader_url(database_url: str) -> AsyncIterator[str]:
    await fill(database_url)
    async with reader(database_url) as url:
        yield url


@pytest.fixture
async def reading(reader_url: str) -> AsyncIterator[Reading]:
    connecting = psycopg.AsyncConnection.connect(reader_url, autocommit=True, row_factory=dict_row)
    async with await connecting as connection:
        yield connection


async def test_every_panel_is_answered(reading: Reading) -> None:
    now = datetime.now(UTC)
    period = Period(now - timedelta(hours=8), now + timedelta(minutes=1), 60)
    assert len(_SQL) > 15
    for title, dashboard, statement in _SQL:
        await _answered(reading, period.sql(statement, _priced(dashboard)), title)


async def _answered(reading: Reading, statement: str, title: str) -> None:
    await reading.execute(b"EXPLAIN " + statement.encode())
    rows = await (await reading.execute(statement.encode())).fetchall()
    assert rows, title
    for column in rows[0]:
        assert any(row[column] is not None for row in rows), f"{title}: {column}"


def _priced(dashboard: Json) -> dict[str, str]:
    return {**variables_of(dashboard), "price_input": "0.3", "price_output": "2.5"}


async def test_without_prices_there_is_no_cost(reading: Reading) -> None:
    now = datetime.now(UTC)
    period = Period(now - timedelta(hours=8), now, 60)
    healing = dashboards()["healing"]
    [cost] = [text for title, text in queries(healing, "rawSql") if title == "Cost of healing"]
    for price in ("0", ""):
        given = {"price_input": price, "price_output": price}
        cursor = await reading.execute(period.sql(cost, given).encode())
        assert await cursor.fetchall() == [{"cost": None}]


async def test_releases_are_compared_with_what_they_replaced(reading: Reading) -> None:
    query = (
        b"SELECT action, replaced, version, runs_before, passed_before, passed_after"
        b" FROM effects WHERE agent = 'worker' AND action <> 'seed' ORDER BY id"
    )
    rows = await (await reading.execute(query)).fetchall()
    versions = [(row["action"], row["replaced"], row["version"]) for row in rows]
    assert versions == [("canary", 1, 2), ("promote", 1, 2), ("canary", 2, 3), ("take_back", 3, 2)]
    canary, promoted, _, taken_back = ((row["passed_before"], row["passed_after"]) for row in rows)
    assert canary[0] < 0.4 < 0.8 < canary[1]  # type: ignore[operator]
    assert promoted[0] < 0.4 < 0.8 < promoted[1]  # type: ignore[operator]
    assert taken_back[0] < 0.6 < 0.8 < taken_back[1]  # type: ignore[operator]


async def test_the_views_hold_no_untrusted_text(reading: Reading) -> None:
    views = await _relations(reading, "grafana")
    assert len(views) == 7
    for view in views:
        query = sql.SQL("SELECT v::text AS row FROM grafana.{} AS v").format(sql.Identifier(view))
        rows = await (await reading.execute(query)).fetchall()
        assert rows, view
        assert not any("STRANGER" in str(row["row"]) for row in rows), view


async def test_no_table_can_be_read(reading: Reading) -> None:
    tables = await _relations(reading, "public")
    assert {"runs", "prompts", "keys", "checkpoints", "procrastinate_jobs"} <= tables
    for table in tables:
        query = sql.SQL("SELECT FROM public.{} LIMIT 0").format(sql.Identifier(table))
        with pytest.raises(InsufficientPrivilege):
            await reading.execute(query)


async def _relations(reading: Reading, schema: str) -> set[str]:
    cursor = await reading.execute(_RELATIONS, (schema,))
    return {str(row["name"]) for row in await cursor.fetchall()}


async def test_no_view_can_be_written(reading: Reading) -> None:
    query = "SELECT has_table_privilege(%s, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER') AS may"
    for view in await _relations(reading, "grafana"):
        cursor = await reading.execute(query.encode(), (f"grafana.{view}",))
        assert await cursor.fetchall() == [{"may": False}]


@pytest.mark.parametrize("read_only", ["on", "off"])
async def test_nothing_else_can_be_done(reading: Reading, read_only: str) -> None:
    """Neither as it comes in, nor when it lifts its own restriction to reading."""
    set_to = sql.SQL("SET default_transaction_read_only = {}").format(sql.Literal(read_only))
    await reading.execute(set_to)
    for statement in (*_WRITES, *_READS):
        with pytest.raises((*_REFUSALS, ReadOnlySqlTransaction)) as refused:
            await reading.execute(statement.encode())
        if read_only == "off":
            assert refused.type in _REFUSALS, statement


async def test_it_comes_in_reading_only_and_in_a_hurry(reading: Reading) -> None:
    for name, value in (
        ("transaction_read_only", "on"),
        ("search_path", "grafana"),
        ("statement_timeout", "15s"),
    ):
        cursor = await reading.execute("SELECT current_setting(%s) AS value", (name,))
        assert await cursor.fetchall() == [{"value": value}]


async def test_a_later_view_is_read_too(database_url: str, reading: Reading) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as owner:
        await owner.execute("CREATE VIEW grafana.later AS SELECT 1 AS one")
    assert await (await reading.execute("SELECT one FROM later")).fetchone() == {"one": 1}


async def test_a_password_can_be_changed(database_url: str, reader_url: str) -> None:
    name = str(psycopg.conninfo.conninfo_to_dict(reader_url)["user"])
    make_role(database_url, name, SELFHEAL_GRAFANA_PASSWORD="another")
    url = psycopg.conninfo.make_conninfo(reader_url, password="another")
    await (await psycopg.AsyncConnection.connect(url)).close()
    with pytest.raises(psycopg.OperationalError, match="password"):
        await psycopg.AsyncConnection.connect(reader_url)


def test_without_a_password_no_role_is_made(database_url: str) -> None:
    with pytest.raises(AssertionError, match="set SELFHEAL_GRAFANA_PASSWORD"):
        make_role(database_url, "grafana_nobody")
