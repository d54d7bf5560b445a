"""Databases with other defaults than Postgres's: what works on all of them, and what is refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from langsmith import uuid7
from psycopg import sql

from selfheal.app.aio import stop
from selfheal.db import claims, run_events, runs
from selfheal.db.errors import DatabaseError
from selfheal.db.migrate import Migration, migrate
from selfheal.db.pool import Database, open_database
from selfheal.db.run_requests import RunOptions, RunRequest
from selfheal.db.runs import RunResult
from selfheal.graph.context import open_parts
from selfheal.server.execution.notifications import RUNS, Notifications
from selfheal.server.execution.queue import open_queue
from selfheal.server.execution.run_end import complete_run
from selfheal.server.service import Service, serving_from
from selfheal.server.settings import read_settings
from tests.support import databases
from tests.support.databases import Kind

MANY = 24


@pytest.fixture
async def service(database: Database, gemini: str) -> AsyncIterator[Service]:
    """Accept runs without executing them."""
    settings = read_settings()
    async with (
        open_parts(settings, database) as context,
        serving_from(settings, database, context, local=False) as opened,
    ):
        yield opened


def requested(thread_id: UUID | None = None) -> RunRequest:
    request = {"request": "add", "examples": []}
    return RunRequest(
        id=uuid7(),
        thread_id=thread_id or uuid7(),
        assistant="agent",
        options=RunOptions(input=request, temporary=thread_id is None),
        create_thread=True,
        idempotency_key=uuid7().hex,
        body_sha256="same",
    )


@pytest.mark.every_database
async def test_many_at_once_are_never_in_each_others_way(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """Accepted on one thread and on many, claimed, renewed, streamed and recorded, side by side."""
    thread = uuid7()
    orders = [requested(thread if number % 3 == 0 else None) for number in range(MANY)]

    async def whole(each: RunRequest) -> None:
        (taken,) = await service.submitter.submit(each)
        while (claim := await one(taken.run_id)) is None:
            await asyncio.sleep(0.01)  # another one of its thread comes first
        for number in range(3):
            async with service.database.connection() as connection:
                await claims.renew(connection, claim, 30)
            said = [("values", f'"{number}"')] * 3
            append = partial(run_events.append, run_id=claim.id, after=number * 3, events=said)
            await service.database.run(append)
        result = RunResult("infrastructure", "x")
        await service.database.run(
            lambda lent: complete_run(lent, service.queue, claim.id, result, claim=claim)
        )

    async def one(run_id: UUID) -> Any:
        async with service.database.connection() as connection:
            return await service.runner.claim(connection, run_id)

    await asyncio.wait_for(asyncio.gather(*map(whole, orders)), 60)
    async with service.database.connection() as connection:
        outcomes = [(await runs.get(connection, each.id)).outcome for each in orders]
    assert outcomes == ["infrastructure"] * MANY


@pytest.mark.every_database
async def test_the_queues_and_the_listeners_sessions_are_ours_too(database: Database) -> None:
    found = []
    async with open_queue(database.url) as queue:
        connector: Any = queue._app.connector
        found.append(await connector.execute_query_one_async(SETTINGS))
        async with connector._get_standalone_connection() as alone:
            found.append(await (await alone.execute(SETTINGS)).fetchone())
    async with database.connection() as connection:
        found.append(await (await connection.execute(SETTINGS)).fetchone())
    shown = [tuple(each.values()) if isinstance(each, dict) else each for each in found]
    assert set(shown) == {("read committed", "off", "ISO, MDY", "UTC", "UTF8", "0")}


SETTINGS = " ".join(
    [
        "SELECT",
        "current_setting('transaction_isolation')",
        "AS",
        "a,",
        "current_setting('transaction_deferrable')",
        "AS",
        "b,",
        "current_setting('datestyle')",
        "AS",
        "c,",
        "current_setting('timezone')",
        "AS",
        "d,",
        "current_setting('client_encoding')",
        "AS",
        "e,",
        "current_setting('idle_session_timeout')",
        "AS",
        "f",
    ]
)


@pytest.mark.every_database
async def test_who_listens_is_not_cut_off_for_being_idle(database: Database) -> None:
    notifications = Notifications()
    listening = asyncio.create_task(notifications.listen(database.url))
    try:
        with notifications.subscribe(RUNS, "x") as woken:
            await asyncio.wait_for(woken.wait(), 5)  # it listens from here on
            pid = await listener(database)
            await asyncio.sleep(0.5)  # more than the odd database allows
            assert await listener(database) == pid
    finally:
        await stop(listening)


async def listener(database: Database) -> int:
    query = (
        "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'"
        " AND datname = current_database()"
    )
    async with database.connection() as connection:
        row = await (await connection.execute(query)).fetchone()
    assert row is not None
    return int(row["pid"])


def test_nothing_connects_but_as_all_do() -> None:
    """A connection that is opened elsewhere would have the database's own defaults."""
    root = Path(__file__).parents[2]
    ours = [root / folder for folder in ("app", "db", "graph", "optimizer", "server")]
    opens = ("AsyncConnection.connect(", "psycopg.connect(")
    found = {
        str(file.relative_to(root))
        for folder in ours
        for file in folder.rglob("*.py")
        if any(each in file.read_text() for each in opens)
    }
    # The embedded server's has its own defaults, and no schema of ours is read there.
    assert found == {"db/sessions.py", "db/embedded/server.py"}


def test_all_transactions_are_tried_again() -> None:
    """What is done in `transaction()` fails with the first deadlock: product code uses `run`."""
    root = Path(__file__).parents[2]
    found = {
        f"{file.relative_to(root)}: {line.strip()}"
        for folder in ("app", "db", "graph", "optimizer", "server")
        for file in (root / folder).rglob("*.py")
        for line in file.read_text().splitlines()
        if "atabase.transaction()" in line
    }
    assert found == set()


REFUSED = {
    "ascii": ("ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0", "", "SQL_ASCII.*UTF8"),
    "latin": ("ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0", "", "LATIN1.*UTF8"),
    "no schema": ("", "ALTER DATABASE {d} SET search_path = ''", "no schema of the search path"),
    "gone": ("", "ALTER DATABASE {d} SET search_path = nowhere", "search path .nowhere."),
    "views": ("", "ALTER DATABASE {d} SET search_path = grafana", "grafana is reserved for the"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_cannot_work_is_refused_in_one_line_before_anything_is_made(
    postgres: str, case: str
) -> None:
    options, change, line = REFUSED[case]
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(
            await psycopg.AsyncConnection.connect(postgres, autocommit=True)
        )
        name = databases.fresh_name()
        stack.push_async_callback(databases.drop, admin, name)
        url = await databases.create(admin, name, Kind(case, options=options), empty=True)
        if case == "views":
            async with await psycopg.AsyncConnection.connect(url) as inside:
                await inside.execute("CREATE SCHEMA grafana")
        if change:
            await admin.execute(sql.SQL(change).format(d=sql.Identifier(name)))
        await refused(url, line)
        assert await made(url) == 0


async def test_a_role_without_rights_is_refused_before_anything_is_made(empty_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(empty_url, autocommit=True) as admin:
        unprivileged = await databases.create(
            admin, databases.fresh_name(), databases.OWNED, empty=True
        )
        await databases.drop(admin, databases.database_of(unprivileged))
        url = databases.same_role(unprivileged, databases.database_of(empty_url))
        await admin.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")  # 14 grants it
        await refused(url, "may not create tables in schema public: GRANT CREATE ON SCHEMA public")
        await admin.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
        await refused(url, "may not create schema grafana.*: CREATE SCHEMA grafana AUTHORIZATION")
        assert await made(empty_url) == 0


async def test_a_schema_that_comes_before_ours_is_noticed(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as admin:
        await admin.execute('CREATE SCHEMA "selfheal"')  # the role's name
        await refused(
            database_url,
            "are in schema public, and new ones would be created in selfheal",
        )
        row = await (
            await admin.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'selfheal'")
        ).fetchone()
    assert row == (0,)


async def refused(url: str, line: str) -> None:
    async with open_database(url, size=1) as database:
        with pytest.raises(DatabaseError, match=line) as refusal:
            await migrate(database)
    assert "\n" not in str(refusal.value)


async def made(url: str) -> int:
    """Count the tables that are not Postgres's own."""
    query = "SELECT count(*) FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema$)'"
    async with await psycopg.AsyncConnection.connect(url) as connection:
        row = await (await connection.execute(query)).fetchone()
    assert row is not None
    return int(row[0])


async def test_a_step_is_cut_off_by_no_limit_of_the_database(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Migration(
        9998,
        "9998_slow.sql",
        b"ALTER TABLE schema_migrations ADD checksum text; SELECT pg_sleep(1.5)",
    )
    monkeypatch.setattr("selfheal.db.migrate.migrations", lambda: [slow])
    limits = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    async with await psycopg.AsyncConnection.connect(empty_url, autocommit=True) as admin:
        name = sql.Identifier(databases.database_of(empty_url))
        for each in limits:
            change = sql.SQL("ALTER DATABASE {} SET {} = '1s'")
            await admin.execute(change.format(name, sql.Identifier(each)))
    async with open_database(empty_url, size=1) as database:
        assert (await migrate(database)).applied == [slow.name]
        async with database.connection() as connection:  # as they were
            for each in limits:
                row = await (await connection.execute(f"SHOW {each}".encode())).fetchone()
                assert row == {each: "1s"}


@pytest.mark.every_database
async def test_the_dashboards_views_find_the_tables(database: Database) -> None:
    query = "SELECT viewname FROM pg_views WHERE schemaname = 'grafana'"
    async with database.connection() as connection:
        views = [row["viewname"] for row in await (await connection.execute(query)).fetchall()]
        for view in views:
            select = sql.SQL("SELECT * FROM grafana.{}").format(sql.Identifier(view))
            await (await connection.execute(select)).fetchall()
    assert len(views) == 7
