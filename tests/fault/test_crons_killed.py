"""Crons while their processes are killed: each date brings one run, and none is lost."""

import asyncio
import random

import httpx
import pytest

from selfheal.db.pool import Database
from tests.conftest import control
from tests.support.service_fleet import fleet

LEASE = 2.0
CRON = {
    "assistant_id": "agent",
    "schedule": "0 0 1 1 *",
    "input": {"request": "Write is_leap_year(year) that tells whether a year is a leap year."},
}


@pytest.mark.parametrize("dates", [5, pytest.param(40, marks=pytest.mark.chaos)])
async def test_each_date_brings_one_run_whatever_happens_to_processes(
    service_env: dict[str, str], database: Database, gemini: str, dates: int
) -> None:
    await control(gemini, latency_seconds=0.3)
    env = {
        **service_env,
        "SELFHEAL_LEASE_SECONDS": str(LEASE),
        "SELFHEAL_OPTIMIZE_EVERY_SECONDS": "0",
    }
    async with fleet(env, 2) as group:
        async with httpx.AsyncClient(base_url=group.members[0].url) as client:
            assert (await client.post("/runs/crons", json=CRON)).status_code == 200
        trouble = asyncio.create_task(group.trouble(random.Random(2), lease=LEASE))
        for date in range(dates):
            await _its_time_has_come(database, date)
            async with asyncio.timeout(60):
                while await _due(database):
                    await asyncio.sleep(0.05)
        trouble.cancel()
        await asyncio.gather(trouble, return_exceptions=True)
        async with asyncio.timeout(60):
            while (ended := await _runs(database))[0] > ended[1]:
                await asyncio.sleep(0.2)
    assert ended == (dates, dates)


async def _its_time_has_come(database: Database, date: int) -> None:
    earlier = "UPDATE crons SET next_run_at = clock_timestamp() - interval '1 minute' * %s"
    async with database.connection() as connection:
        await connection.execute(earlier, (date + 1,))


async def _due(database: Database) -> bool:
    query = "SELECT 1 AS due FROM crons WHERE next_run_at < clock_timestamp()"
    async with database.connection() as connection:
        return await (await connection.execute(query)).fetchone() is not None


async def _runs(database: Database) -> tuple[int, int]:
    query = "SELECT count(*) AS runs, count(*) FILTER (WHERE outcome = 'ok') AS ok FROM runs"
    async with database.connection() as connection:
        row = await (await connection.execute(query)).fetchone()
    assert row is not None
    return row["runs"], row["ok"]
