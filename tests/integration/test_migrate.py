"""The schema, on a real Postgres."""

import asyncio

import pytest

from db.errors import DatabaseError, DatabaseUnavailableError
from db.migrate import migrate, migrations
from db.pool import open_database


async def test_several_processes_may_migrate_at_once(empty_url: str) -> None:
    async with (
        open_database(empty_url, size=2) as one,
        open_database(empty_url, size=2) as two,
        open_database(empty_url, size=2) as three,
    ):
        applied = await asyncio.gather(migrate(one), migrate(two), migrate(three))
    names = [migration.name for migration in migrations()]
    assert sorted(map(len, applied)) == [0, 0, len(names)]
    assert names in applied


async def test_a_newer_schema_is_refused(empty_url: str) -> None:
    async with open_database(empty_url, size=2) as database:
        await migrate(database)
        async with database.connection() as connection:
            await connection.execute(
                "INSERT INTO schema_migrations (number, name) VALUES (9999, 'from the future')"
            )
        with pytest.raises(DatabaseError, match="schema 9999"):
            await migrate(database)


async def test_an_unreachable_server_is_said_at_once() -> None:
    with pytest.raises(DatabaseUnavailableError, match="cannot be reached"):
        async with open_database("postgresql://nobody@127.0.0.1:1/none", wait=5):
            pass
