"""Behind PgBouncer in transaction mode: fewer connections than runs, and all goes well."""

import asyncio
import json
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import tuple_row

from bench.harness.processes import finished, selfheal, started
from selfheal.db.checkpoints import PoolSaver
from selfheal.db.errors import SessionLostError
from selfheal.db.migrate import migrate
from selfheal.db.pool import Database, open_database
from tests.support.databases import FOREIGN, PLAIN, STRICT

PGBOUNCER = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
SAYS = r"serving on (http://\S+)"
CONNECTIONS = 3
ASK = {
    "assistant_id": "agent",
    "input": {"request": "Write is_leap_year(year) that tells whether a year is a leap year."},
}

pytestmark = pytest.mark.skipif(
    PGBOUNCER is None, reason="NOT TESTED: no PgBouncer here: apt install pgbouncer"
)


@pytest.fixture
async def pooled(database_url: str, tmp_path: Path) -> AsyncIterator[str]:
    """Start a PgBouncer in transaction mode; yield the database's address through it."""
    async with pooling(database_url, tmp_path, "transaction") as url:
        yield url


@asynccontextmanager
async def pooling(database_url: str, tmp_path: Path, mode: str) -> AsyncIterator[str]:
    """Start a PgBouncer; yield the database's address through it."""
    straight = conninfo_to_dict(database_url)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = tmp_path / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n* = host={straight['host']} port={straight['port']}"
        f" user={straight['user']} password={straight['password']}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\n"
        f"pool_mode = {mode}\ndefault_pool_size = {CONNECTIONS}\nmax_client_conn = 200\n"
        "unix_socket_dir =\n"
    )
    settings.chmod(0o644)
    as_nobody = ("-u", "nobody") if os.getuid() == 0 else ()
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    command = (str(PGBOUNCER), *as_nobody, str(settings))
    async with started(*command, env=dict(os.environ), says="process up"):
        yield make_conninfo(database_url, host="127.0.0.1", port=port, require_auth="none")


@pytest.mark.parametrize("database_kind", [PLAIN, STRICT], ids=["plain", "serializable"])
async def test_runs_and_streams_share_few_connections(
    pooled: str, database_url: str, service_env: dict[str, str]
) -> None:
    env = {
        **service_env,
        "DATABASE_URL": pooled,
        "SELFHEAL_DIRECT_DATABASE_URL": database_url,
        "SELFHEAL_OPTIMIZE_EVERY_SECONDS": "0",
    }
    serve = selfheal("serve", "--port", "0")
    async with started(*serve, env=env, says=SAYS) as (_, one):
        async with started(*serve, env=env, says=SAYS) as (_, two):
            await many(one, two)
            thread, events = await streamed(one, two)
    assert events[0] == "metadata"
    assert events[-1] == "end"
    assert await ended(database_url) == {("success", "ok"): 13}
    assert await states(database_url, thread) > 0


@pytest.mark.parametrize("database_kind", [STRICT, FOREIGN], ids=lambda kind: kind.name)
async def test_what_statements_rely_on_is_theirs_in_whichever_session(
    pooled: str, database_url: str
) -> None:
    """In a transaction, alone, and as LangGraph's saver and several clients at once use them."""
    found = set()
    async with open_database(pooled, direct_url=database_url, size=2 * CONNECTIONS) as database:

        async def one(number: int) -> None:
            async with database.connection() as connection:
                cursor = connection.cursor(row_factory=tuple_row)
                found.add(await (await cursor.execute(SETTINGS)).fetchone())
                await asyncio.sleep(0.01 * (number % 3))
                async with connection.transaction():
                    await cursor.execute(SETTINGS)
                    found.add(await cursor.fetchone())
            for pipeline in (False, True):
                async with PoolSaver(database.pool)._cursor(pipeline=pipeline) as saving:
                    await saving.execute(SETTINGS)
                    row = await saving.fetchone()
                    assert row is not None
                    found.add(tuple(row.values()))

        await asyncio.gather(*map(one, range(4 * CONNECTIONS)))
    assert found == {("read committed", "ISO, MDY", "UTC", "UTF8")}


SETTINGS = (
    "SELECT current_setting('transaction_isolation') AS a, current_setting('datestyle') AS b,"
    " current_setting('timezone') AS c, current_setting('client_encoding') AS d"
)


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("migrate",), ("runs", "list")])
async def test_without_the_servers_own_address_it_says_what_is_missing(
    pooled: str, service_env: dict[str, str], command: tuple[str, ...]
) -> None:
    env = {**service_env, "DATABASE_URL": pooled}
    code, out, error = await finished(*selfheal(*command), env=env)
    assert (code, out) == (2, "")
    what = "set SELFHEAL_DIRECT_DATABASE_URL to the server's own address"
    assert what in error.splitlines()[-1]


async def test_a_pooler_is_not_the_servers_own_address(
    pooled: str, service_env: dict[str, str]
) -> None:
    env = {**service_env, "DATABASE_URL": pooled, "SELFHEAL_DIRECT_DATABASE_URL": pooled}
    code, _, error = await finished(*selfheal("migrate"), env=env)
    assert code == 2
    assert "SELFHEAL_DIRECT_DATABASE_URL" in error


async def test_a_pooler_that_lends_whole_sessions_needs_nothing(
    database_url: str, tmp_path: Path
) -> None:
    async with pooling(database_url, tmp_path, "session") as url:
        async with open_database(url, size=2) as database:
            assert (await migrate(database)).applied == []


@pytest.mark.parametrize("state", ["42P05", "26000"])
async def test_a_session_that_is_lost_later_is_said_too(database: Database, state: str) -> None:
    async def lose() -> None:
        async with database.connection() as connection:
            raised = f"DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '{state}'; END $$"
            await connection.execute(raised.encode())

    with pytest.raises(SessionLostError, match="SELFHEAL_DIRECT_DATABASE_URL"):
        await lose()


async def many(one: str, two: str) -> None:
    """Ask for more runs at once than there are connections."""
    async with httpx.AsyncClient(timeout=60) as client:
        asked = (client.post(f"{url}/runs/wait", json=ASK) for url in (one, two) * 6)
        for answer in await asyncio.gather(*asked):
            assert answer.json()["evaluation"]["passed"], answer.text


async def streamed(one: str, two: str) -> tuple[str, list[str]]:
    """Have one process take a run in, and the other tell how it goes."""
    async with httpx.AsyncClient(timeout=60) as client:
        thread = (await client.post(f"{one}/threads", json={})).json()["thread_id"]
        run = (await client.post(f"{one}/threads/{thread}/runs", json=ASK)).json()["run_id"]
        url = f"{two}/threads/{thread}/runs/{run}/stream"
        async with client.stream("GET", url, headers={"Last-Event-ID": "0"}) as answer:
            lines = [line async for line in answer.aiter_lines()]
        state = (await client.get(f"{two}/threads/{thread}/state")).json()
        assert state["values"]["evaluation"]["passed"], json.dumps(state)
    return thread, [line[7:] for line in lines if line.startswith("event: ")]


async def ended(url: str) -> dict[tuple[str, str], int]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        query = "SELECT status, outcome, count(*) FROM runs GROUP BY 1, 2"
        rows = await (await connection.execute(query)).fetchall()
    return {(status, outcome): count for status, outcome, count in rows}


async def states(url: str, thread: str) -> int:
    """Return how many states of a thread there are: they were written through the pooler."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        query = "SELECT count(*) FROM checkpoints WHERE thread_id = %s"
        row = await (await connection.execute(query, (thread,))).fetchone()
    assert row is not None
    return int(row[0])
