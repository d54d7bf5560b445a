"""The queue's worker, on a real Postgres."""

import asyncio
from uuid import UUID, uuid4

import pytest

from selfheal.db.pool import Database
from selfheal.server.execution.queue import open_queue

pytestmark = pytest.mark.every_database


async def test_it_stops_on_request_even_if_it_cannot_log(database: Database) -> None:
    async def nothing(_: UUID) -> None: ...

    async with open_queue(database.url) as queue:
        work = asyncio.create_task(queue.work(nothing, 1, grace=1))
        await registered(database)
        async with database.connection() as connection:  # as gone as with all of Postgres
            await connection.execute("DROP TABLE procrastinate_workers CASCADE")
        work.cancel()
        done, _ = await asyncio.wait({work}, timeout=5)
        assert done, "it goes on, and its process never ends"


async def registered(database: Database) -> None:
    async with asyncio.timeout(10):
        while True:
            async with database.connection() as connection:
                cursor = await connection.execute("SELECT 1 FROM procrastinate_workers")
                if await cursor.fetchone():
                    return
            await asyncio.sleep(0.05)


async def test_a_run_that_has_a_job_already_is_known_in_any_language(database: Database) -> None:
    """procrastinate reads what a server says in English; one may speak another language."""
    async with open_queue(database.url) as queue:
        async with database.connection() as connection:
            await connection.execute(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " RAISE unique_violation USING"
                " CONSTRAINT = 'procrastinate_jobs_queueing_lock_idx_v1', DETAIL ="
                " 'Schlüssel »(queueing_lock)=(' || NEW.queueing_lock || ')« existiert bereits.';"
                " END $$"
            )
            await connection.execute(
                "CREATE TRIGGER refuse BEFORE INSERT ON procrastinate_jobs"
                " FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        await database.run(lambda connection: queue.send(connection, uuid4()))
