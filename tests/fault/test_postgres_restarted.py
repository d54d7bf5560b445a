"""Postgres dies under load and comes back: nothing that was acknowledged is lost."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bench.harness.processes import clean_environment
from selfheal.db.embedded.server import embedded_postgres
from tests.conftest import control
from tests.support.service_fleet import Fleet, fleet
from tests.support.tcp_proxy import Forward, forwarding

ASK = {
    "assistant_id": "agent",
    "input": {"request": "Write is_leap_year(year) that tells whether a year is a leap year."},
}


@dataclass
class Postgres:
    """A Postgres of its own, that processes reach at the same address whenever it lives."""

    folder: Path
    forward: Forward
    stack: AsyncExitStack
    url: str

    async def die(self) -> None:
        """Stop it as `pg_ctl stop -m immediate` does: at once, with no last word."""
        pid = int((self.folder / "postgres-18/data/postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
        while lives(pid):
            await asyncio.sleep(0.02)
        await self.forward.down()

    async def come_back(self) -> None:
        """Start it again; it recovers what was committed."""
        url = await self.stack.enter_async_context(embedded_postgres(self.folder))
        await self.forward.up(int(str(conninfo_to_dict(url)["port"])))


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.fixture
async def mortal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    folder = tmp_path_factory.mktemp("mortal")
    for each in (folder, folder.parent):
        each.chmod(0o711)  # for root, the server is another user's
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(embedded_postgres(folder))
        port = int(str(conninfo_to_dict(url)["port"]))
        forward = await stack.enter_async_context(forwarding(port))
        yield Postgres(folder, forward, stack, make_conninfo(url, port=forward.port))


@pytest.mark.parametrize("deaths", [1, pytest.param(3, marks=pytest.mark.chaos)])
async def test_nothing_acknowledged_is_lost(
    mortal: Postgres, gemini: str, tmp_path: Path, deaths: int
) -> None:
    await control(gemini, latency_seconds=0.3)
    env = clean_environment(
        DATABASE_URL=mortal.url,
        GOOGLE_API_KEY="simulated",
        GOOGLE_GEMINI_BASE_URL=gemini,
        SELFHEAL_DATA_DIR=str(tmp_path),
        SELFHEAL_LEASE_SECONDS="2",
        SELFHEAL_MAX_CONCURRENCY="4",
        SELFHEAL_OPTIMIZE_EVERY_SECONDS="0",
    )
    async with fleet(env, 2) as group:
        asking = Asking(group)
        listening = asyncio.create_task(listen(group))
        load = asyncio.create_task(asking.go_on())
        for _ in range(deaths):
            await asyncio.sleep(2)
            await mortal.die()
            await away(group)
            await asyncio.wait_for(asking.refused(), 30)
            await mortal.come_back()
            await asyncio.wait_for(back(group), 15)
        await asyncio.sleep(1)
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)
        await asyncio.wait_for(quiet(mortal.url), 60)
        numbers, names = await asyncio.wait_for(listening, 30)
    assert numbers == list(range(1, len(numbers) + 1)), "no event is missing, and none came twice"
    assert names[-1] == "end"
    assert asking.statuses <= {200, 503}, "a refusal says why, and when to come again"
    assert len(asking.taken) >= 4 * deaths
    found = await results(mortal.url)
    assert {each: found[each] for each in asking.taken} == dict.fromkeys(asking.taken, "ok")
    assert set(found.values()) == {"ok"}


class Asking:
    """Asks for runs, one every moment, and notes those that were acknowledged."""

    def __init__(self, group: Fleet) -> None:
        self.group = group
        self.taken: set[str] = set()
        self.statuses: set[int] = set()
        self._refused = asyncio.Event()

    async def refused(self) -> None:
        """Wait until it is refused from now on."""
        self._refused.clear()
        await self._refused.wait()

    async def go_on(self) -> None:
        async with httpx.AsyncClient(timeout=30) as client:
            while True:
                for member in self.group.members:
                    answer = await client.post(f"{member.url}/runs", json=ASK)
                    self.statuses.add(answer.status_code)
                    if answer.status_code == 200:
                        self.taken.add(answer.json()["run_id"])
                    else:
                        self._refused.set()
                        assert answer.headers["retry-after"], answer.text
                        assert "database cannot be reached" in answer.json()["detail"]
                await asyncio.sleep(1)  # less than it can do, or those that wait grow


async def away(group: Fleet) -> None:
    """See what the service says while Postgres is away."""
    for member in group.members:
        async with httpx.AsyncClient(base_url=member.url, timeout=30) as client:
            assert (await client.get("/health/live")).status_code == 200
            assert (await client.get("/health/ready")).status_code == 503
            refused = await client.post("/runs/wait", json=ASK)
            assert (refused.status_code, refused.headers.get("retry-after")) == (503, "5")


async def back(group: Fleet) -> None:
    """Wait until every process is ready again, and does what it is asked."""
    for member in group.members:
        async with httpx.AsyncClient(base_url=member.url, timeout=30) as client:
            while (await client.get("/health/ready")).status_code != 200:
                await asyncio.sleep(0.1)
            answer = await client.post("/runs/wait", json=ASK)
            assert answer.json()["evaluation"]["passed"], answer.text


async def listen(group: Fleet) -> tuple[list[int], list[str]]:
    """Follow one run through it all, as the official client does; return what came."""
    lines: list[str] = []
    last, where = "0", ""
    member = group.members[0]
    body = {**ASK, "stream_mode": ["updates"]}
    async with httpx.AsyncClient(base_url=member.url, timeout=30) as client:
        while (made := await client.post("/threads", json={})).status_code != 200:
            assert made.status_code == 503, made.text  # Postgres died before
            await asyncio.sleep(0.1)
        thread = made.json()["thread_id"]
        await asyncio.sleep(1.5)
        begin: dict[str, Any] = {"method": "POST", "url": f"/threads/{thread}/runs/stream"}
        while "event: end" not in lines:
            again = {"method": "GET", "url": where, "headers": {"Last-Event-ID": last}}
            asked = again if where else {**begin, "json": body}
            try:
                async with client.stream(**asked) as answer:
                    where = answer.headers.get("location", where)
                    async for line in answer.aiter_lines():
                        lines.append(line)
                        last = line[4:] if line.startswith("id: ") else last
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.2)
    told = [int(line[4:]) for line in lines if line.startswith("id: ")]
    return told, [line[7:] for line in lines if line.startswith("event: ")]


async def quiet(url: str) -> None:
    while True:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            row = await (await connection.execute("SELECT count(*) FROM claims")).fetchone()
        if row == (0,):
            return
        await asyncio.sleep(0.2)


async def results(url: str) -> dict[str, str]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        cursor = await connection.execute("SELECT id::text, outcome FROM runs")
        return dict(await cursor.fetchall())
