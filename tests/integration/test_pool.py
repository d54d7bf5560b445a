"""What waits for a connection can be told to stop at any moment."""

import asyncio

import pytest

from selfheal.db.pool import Database, open_database


@pytest.mark.parametrize("ticks", range(8))
async def test_a_cancellation_that_comes_with_the_connection_is_not_lost(
    database: Database, ticks: int
) -> None:
    async def work() -> None:
        async with one.connection():
            pass
        await asyncio.Event().wait()  # going on

    async with open_database(database.url, size=1) as one:
        async with one.connection():
            task = asyncio.create_task(work())
            await asyncio.sleep(0.1)
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=1)
        task.cancel()
        assert done
        assert task.cancelled()
        async with one.connection() as connection:  # it is given back
            await connection.execute("SELECT 1")
