"""Runs while their processes are killed and frozen: each has one result, and none is lost."""

import asyncio
import contextlib
import random
import time
from typing import Any

import httpx
import pytest

from selfheal.db.pool import open_database
from tests.conftest import control
from tests.support.service_fleet import Fleet, Member, fleet

LEASE = 2.0
ASK = {
    "assistant_id": "agent",
    "input": {"request": "Write is_leap_year(year) that tells whether a year is a leap year."},
}


@pytest.fixture
def env(service_env: dict[str, str]) -> dict[str, str]:
    return {
        **service_env,
        "SELFHEAL_LEASE_SECONDS": str(LEASE),
        "SELFHEAL_OPTIMIZE_EVERY_SECONDS": "0",
    }


async def ask(group: Fleet, key: str, how: str) -> dict[str, Any]:
    """Ask for a run until somebody has taken it in, as a careful client does."""
    while True:
        url = random.choice(group.members).url
        with contextlib.suppress(httpx.HTTPError, IndexError):
            async with httpx.AsyncClient(base_url=url, timeout=8) as client:
                answer = await client.post(how, json=ASK, headers={"Idempotency-Key": key})
                if answer.status_code == 200:
                    found: dict[str, Any] = answer.json()
                    return found
        await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    ("count", "size"), [(30, 2), pytest.param(300, 3, marks=pytest.mark.chaos)]
)
async def test_each_run_has_one_result_whatever_happens_to_processes(
    env: dict[str, str], database_url: str, gemini: str, count: int, size: int
) -> None:
    await control(gemini, latency_seconds=0.8)
    async with fleet({**env, "SELFHEAL_MAX_CONCURRENCY": "4"}, size) as group:
        trouble = asyncio.create_task(group.trouble(random.Random(1), lease=LEASE))
        places = asyncio.Semaphore(40)

        async def one(number: int) -> dict[str, Any]:
            async with places:
                # Every third waits for its result; the rest only want to be taken in.
                how = "/runs/wait" if number % 3 == 0 else "/runs"
                return await ask(group, f"key-{number}", how)

        asked = await asyncio.wait_for(asyncio.gather(*map(one, range(count))), 40 + count)
        ids = {each["run_id"] for each in asked}
        assert len(ids) == count, "the same key is the same run"
        trouble.cancel()
        await asyncio.gather(trouble, return_exceptions=True)
        await asyncio.wait_for(until_quiet(database_url), 60)
    await check(database_url, count)


async def until_quiet(url: str) -> None:
    async with open_database(url) as database:
        while True:
            async with database.connection() as connection:
                cursor = await connection.execute("SELECT count(*) AS n FROM claims")
                if ((await cursor.fetchone()) or {})["n"] == 0:
                    return
            await asyncio.sleep(0.2)


async def check(url: str, count: int) -> None:
    async with open_database(url) as database, database.connection() as connection:
        cursor = await connection.execute(
            "SELECT count(*) AS runs, count(*) FILTER (WHERE outcome = 'ok') AS ok,"
            " count(*) FILTER (WHERE attempt > 1) AS resumed, count(evaluations.run_id) AS judged"
            " FROM runs LEFT JOIN evaluations ON run_id = id"
        )
        seen = await cursor.fetchone()
        assert seen is not None
        assert (seen["runs"], seen["ok"], seen["judged"]) == (count, count, count), seen
        assert seen["resumed"] > 0, "nobody was killed in the middle of a run: no test"
        cursor = await connection.execute(
            "SELECT run_id FROM run_events GROUP BY run_id HAVING max(seq) <> count(*)"
        )
        assert await cursor.fetchall() == [], "no event twice, and none is missing"


async def executor(group: Fleet, database_url: str) -> Member:
    """Wait until some process executes a run; return it."""
    async with open_database(database_url) as database:
        while True:
            async with database.connection() as connection:
                cursor = await connection.execute("SELECT runner FROM claims")
                row = await cursor.fetchone()
            if row and row["runner"]:
                pid = int(row["runner"].split("/")[1])
                return next(each for each in group.members if each.process.pid == pid)
            await asyncio.sleep(0.05)


@pytest.mark.chaos
async def test_a_killed_process_is_followed_by_another_soon(
    env: dict[str, str], gemini: str, database_url: str
) -> None:
    await control(gemini, latency_seconds=1.0)
    async with fleet({**env, "SELFHEAL_LEASE_SECONDS": "10"}, 2) as group:
        async with httpx.AsyncClient(base_url=group.members[0].url) as client:
            run = (await client.post("/runs", json=ASK)).json()
        await group.kill(await executor(group, database_url))
        begun = time.monotonic()
        async with httpx.AsyncClient(base_url=group.members[0].url, timeout=60) as client:
            while (await client.get(f"/runs/{run['run_id']}")).json()["attempt"] == 1:
                assert time.monotonic() - begun < 15
                await asyncio.sleep(0.1)
            where = f"/threads/{run['thread_id']}/runs/{run['run_id']}/join"
            result = (await client.get(where)).json()
            assert result.get("evaluation", {}).get("passed"), result


async def test_a_client_that_listens_gets_the_rest_from_another_process(
    env: dict[str, str], gemini: str
) -> None:
    async with fleet(env, 1) as group:
        (first,) = group.members
        seen: list[str] = []
        async with httpx.AsyncClient(base_url=first.url, timeout=60) as client:
            thread = (await client.post("/threads", json={})).json()["thread_id"]
            with pytest.raises(httpx.HTTPError):
                await cut_off(client, thread, group, seen, gemini)
        location = seen.pop(0)
        last = [line[4:] for line in seen if line.startswith("id: ")][-1]
        async with httpx.AsyncClient(base_url=group.members[0].url, timeout=60) as client:
            rest = (await client.get(location, headers={"Last-Event-ID": last})).text
    told = [*seen, *rest.splitlines()]
    numbers = [int(line[4:]) for line in told if line.startswith("id: ")]
    assert numbers == list(range(1, len(numbers) + 1))
    names = [line[7:] for line in told if line.startswith("event: ")]
    assert names.count("updates") == 3
    assert names.count("metadata") == 2, "one for each attempt"
    assert names[-1] == "end"


async def cut_off(
    client: httpx.AsyncClient, thread: str, group: Fleet, seen: list[str], gemini: str
) -> None:
    """Stream a run, and kill its process when the first node has ended."""
    body = {**ASK, "stream_mode": ["updates"]}
    await control(gemini, faults=[{"kind": "slow", "persona": "worker", "seconds": 60}])
    async with client.stream("POST", f"/threads/{thread}/runs/stream", json=body) as answer:
        seen.append(answer.headers["location"])
        name = ""
        async for line in answer.aiter_lines():
            seen.append(line)
            name = line if line.startswith("event") else name
            if line.startswith("id: ") and name == "event: updates":
                first = group.members[0]
                await group.add()
                await control(gemini, faults=[])
                await group.kill(first)
