"""Behind PgBouncer in transaction mode: fewer connections than runs, and all goes well."""

import asyncio
import json
import os
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.support.processes import selfheal, started

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
        f"pool_mode = transaction\ndefault_pool_size = {CONNECTIONS}\nmax_client_conn = 200\n"
        "unix_socket_dir =\n"
    )
    settings.chmod(0o644)
    as_nobody = ("-u", "nobody") if os.getuid() == 0 else ()
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    command = (str(PGBOUNCER), *as_nobody, str(settings))
    async with started(*command, env=dict(os.environ), says="process up"):
        yield make_conninfo(database_url, host="127.0.0.1", port=port, require_auth="none")


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
