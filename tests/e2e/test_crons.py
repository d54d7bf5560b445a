"""Crons over HTTP: what is taken, what is refused and with which words, and that they come."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client

from bench.harness.processes import selfheal, started
from selfheal.db.pool import open_database

SAYS = r"serving on (http://\S+)"
ASK = {"request": "Write is_leap_year(year): is a year of the Gregorian calendar a leap year?"}
DAILY: dict[str, Any] = {"assistant_id": "agent", "schedule": "0 6 * * *", "input": ASK}


@pytest.fixture(scope="module")
async def url(module_env: dict[str, str]) -> AsyncIterator[str]:
    async with started(*selfheal("serve", "--port", "0"), env=module_env, says=SAYS) as (_, found):
        yield found


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, timeout=30) as opened:
        yield opened


async def test_a_cron_comes_and_its_run_is_as_any_other(
    client: httpx.AsyncClient, url: str, module_env: dict[str, str]
) -> None:
    async with get_client(url=url) as official:
        thread = (await official.threads.create())["thread_id"]
        cron: Any = await official.crons.create_for_thread(
            thread, "agent", schedule="* * * * *", input=ASK, metadata={"team": "x"}
        )
        async with open_database(module_env["DATABASE_URL"]) as database:
            async with database.connection() as connection:  # a minute is long
                await connection.execute("UPDATE crons SET next_run_at = clock_timestamp()")
        async with asyncio.timeout(30):
            while not (listed := await official.runs.list(thread, status="success")):
                await asyncio.sleep(0.2)
        assert listed[0]["metadata"] == {"team": "x", "cron_id": cron["cron_id"]}
        state: Any = await official.threads.get_state(thread)
        assert state["values"]["evaluation"]["passed"]
        await official.crons.delete(cron["cron_id"])
    assert (await client.get(f"/runs/crons/{cron['cron_id']}")).status_code == 404
    assert (await client.get(f"/runs/{listed[0]['run_id']}")).status_code == 200


@pytest.mark.parametrize(
    ("wrong", "status", "field"),
    [
        ({"schedule": "soon"}, 422, "schedule"),
        ({"schedule": "* * * * * *"}, 422, "schedule"),
        ({"schedule": "0 0 31 2 *"}, 422, "schedule"),
        ({"schedule": "R R * * *"}, 422, "schedule"),
        ({"schedule": None}, 422, "schedule"),
        ({"timezone": "Berlin"}, 422, "timezone"),
        ({"timezone": "../../etc/passwd"}, 422, "timezone"),
        ({"end_time": "tomorrow"}, 422, "end_time"),
        ({"end_time": "9999-12-31T23:59:59-12:00"}, 422, "end_time"),
        ({"end_time": "0001-01-01T00:00:00+12:00"}, 422, "end_time"),
        ({"input": {"request": ""}}, 422, "input.request"),
        ({"input": {"request": "x", "examples": [{"call": "f(", "returns": "1"}]}}, 422, "input"),
        ({"context": {"a": 1}}, 422, "context"),
        ({"webhook": "https://example.com/x"}, 422, "webhook"),
        ({"on_run_completed": "burn"}, 422, "on_run_completed"),
        ({"assistant_id": "nobody"}, 404, "assistant_id"),
    ],
)
async def test_what_is_no_cron_is_refused_with_the_field(
    client: httpx.AsyncClient, wrong: dict[str, Any], status: int, field: str
) -> None:
    before = (await client.post("/runs/crons/count", json={})).json()
    answer = await client.post("/runs/crons", json=DAILY | wrong)
    assert (answer.status_code, str(answer.json()["field"]).startswith(field)) == (status, True)
    assert (await client.post("/runs/crons/count", json={})).json() == before
    if wrong.get("schedule", "") is not None and "assistant_id" not in wrong:
        cron = (await client.post("/runs/crons", json=DAILY)).json()
        answer = await client.patch(f"/runs/crons/{cron['cron_id']}", json=wrong)
        assert (answer.status_code, str(answer.json()["field"]).startswith(field)) == (status, True)
        assert (await client.get(f"/runs/crons/{cron['cron_id']}")).json() == cron


async def test_a_thread_that_is_not_there_is_no_place_for_a_cron(client: httpx.AsyncClient) -> None:
    nowhere = "/threads/00000000-0000-0000-0000-000000000000/runs/crons"
    assert (await client.post(nowhere, json=DAILY)).status_code == 404


async def test_what_is_patched_changes_and_the_rest_stays(client: httpx.AsyncClient) -> None:
    asked = DAILY | {"end_time": "2099-01-01T00:00:00", "metadata": {"a": 1, "b": 1}}
    asked |= {"stream_mode": ["updates"], "on_run_completed": "keep"}
    cron = (await client.post("/runs/crons", json=asked)).json()
    assert datetime.fromisoformat(cron["end_time"]) == datetime(2099, 1, 1, tzinfo=UTC)
    path = f"/runs/crons/{cron['cron_id']}"

    async def patched(**new: Any) -> dict[str, Any]:
        answer = (await client.patch(path, json=new)).json()
        assert (await client.get(path)).json() == answer
        return {key: answer[key] for key in answer if answer[key] != cron[key]}

    assert (await patched()).keys() == {"updated_at"}
    assert (await patched(schedule=None, enabled=None, input=None)).keys() == {"updated_at"}
    changed = await patched(timezone="Europe/Berlin")
    assert changed.keys() == {"updated_at", "timezone", "next_run_date"}
    changed = await patched(end_time=None, enabled=False, metadata={"b": 2, "c": 3})
    assert (changed["end_time"], changed["enabled"]) == (None, False)
    assert changed["metadata"] == {"a": 1, "b": 2, "c": 3}
    changed = await patched(input={"request": "Write f()."}, on_run_completed="delete")
    assert changed["payload"] == cron["payload"] | {"input": {"request": "Write f()."}}
    changed = await patched(schedule="0 7 * * *", end_time="2020-01-01T00:00:00Z")
    assert changed["next_run_date"] is None


async def test_a_tenant_has_a_hundred_at_most(client: httpx.AsyncClient) -> None:
    there = (await client.post("/runs/crons/count", json={})).json()
    made = await asyncio.gather(
        *(client.post("/runs/crons", json=DAILY) for _ in range(103 - there))
    )
    codes = sorted(each.status_code for each in made)
    assert codes == [200] * (100 - there) + [409] * 3
    page = (
        await client.post("/runs/crons/search", json={"limit": 1000, "select": ["cron_id"]})
    ).json()
    assert (len(page), {frozenset(each) for each in page}) == (100, {frozenset({"cron_id"})})
    for each in page:
        answer = await client.delete(f"/runs/crons/{each['cron_id']}")
        assert (answer.status_code, answer.content) == (204, b"")
    assert (await client.post("/runs/crons/count", json={})).json() == 0
