"""The schema, on a real Postgres."""

import asyncio
from dataclasses import replace
from unittest.mock import AsyncMock

import pytest

from bench.harness.processes import finished, selfheal
from selfheal.db.errors import DatabaseError, DatabaseUnavailableError, SchemaError
from selfheal.db.migrate import Migrated, Migration, migrate, migrations, require_schema
from selfheal.db.pool import Database, open_database


@pytest.mark.every_database
async def test_several_processes_may_migrate_at_once(empty_url: str) -> None:
    async with (
        open_database(empty_url, size=2) as one,
        open_database(empty_url, size=2) as two,
        open_database(empty_url, size=2) as three,
    ):
        applied = await asyncio.gather(migrate(one), migrate(two), migrate(three))
    names = [migration.name for migration in migrations()]
    assert sorted(len(each.applied) for each in applied) == [0, 0, len(names)]
    assert names in [each.applied for each in applied]


async def from_the_future(database: Database, name: str) -> None:
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO schema_migrations (number, name) VALUES (9999, %s)", (name,)
        )


@pytest.mark.every_database
async def test_a_newer_schema_is_shared(empty_url: str) -> None:
    async with open_database(empty_url, size=2) as database:
        await migrate(database)
        await from_the_future(database, "9999_more.sql")
        assert await migrate(database) == Migrated([], "9999_more.sql")
        assert await migrate(database) == Migrated([], "9999_more.sql")


async def test_a_newer_schema_is_never_called_up_to_date(
    database: Database, service_env: dict[str, str]
) -> None:
    code, out, err = await finished(*selfheal("migrate"), env=service_env)
    assert (code, out, err) == (0, "the schema is up to date\n", "")
    await from_the_future(database, "9999_more.sql")
    code, out, err = await finished(*selfheal("migrate"), env=service_env)
    assert (code, out.count("\n"), err) == (0, 1, "")
    assert "later version" in out
    assert "9999_more.sql" in out
    for command in ("migrate", "doctor"):
        _, out, err = await finished(*selfheal(command), env=service_env)
        assert "9999_more.sql" in out
        assert "up to date" not in out + err


async def test_a_newer_schema_that_says_so_is_refused(empty_url: str) -> None:
    async with open_database(empty_url, size=2) as database:
        await migrate(database)
        await from_the_future(database, "9999_less.breaking.sql")
        with pytest.raises(DatabaseError, match="schema 9999"):
            await migrate(database)


@pytest.mark.every_database
async def test_an_edited_migration_is_refused(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = migrations()
    async with open_database(empty_url, size=2) as database:
        await migrate(database)
        edited = replace(known[3], sql=known[3].sql + b"-- edited")
        other_line_ends = replace(known[4], sql=known[4].sql.replace(b"\n", b"\r\n"))
        steps = [*known[:3], edited, other_line_ends, *known[5:]]
        monkeypatch.setattr("selfheal.db.migrate.migrations", lambda: steps)
        for use in (migrate, require_schema):
            with pytest.raises(
                SchemaError, match=f"^{edited.name} was edited after it was applied"
            ):
                await use(database)
        steps[3] = known[3]
        assert await migrate(database) == Migrated([], None)


async def test_checksums_of_earlier_versions_are_filled(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = migrations()
    without = [step for step in known if step.name != "0021_checksums.sql"]
    async with open_database(empty_url, size=2) as database:
        monkeypatch.setattr("selfheal.db.migrate.migrations", lambda: without)
        monkeypatch.setattr("selfheal.db.migrate._store_checksums", AsyncMock())
        await migrate(database)
        monkeypatch.undo()
        assert (await migrate(database)).applied == ["0021_checksums.sql"]
        async with database.connection() as connection:
            cursor = await connection.execute("SELECT number, checksum FROM schema_migrations")
            stored = {row["number"]: row["checksum"] for row in await cursor.fetchall()}
    assert stored == {step.number: step.checksum for step in known}


async def test_a_migration_that_waits_for_a_table_blocks_no_query(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Migration(9998, "9998_wider.sql", b"ALTER TABLE runs ADD COLUMN wider integer")
    async with open_database(empty_url, size=4) as database:
        await migrate(database)
        monkeypatch.setattr("selfheal.db.migrate.migrations", lambda: [step])
        async with database.transaction() as holder:
            await holder.execute("SELECT count(*) FROM runs")
            waiting = asyncio.create_task(migrate(database))
            async with database.connection() as other:
                for _ in range(30):
                    async with asyncio.timeout(2):
                        await other.execute("SELECT count(*) FROM runs")
                    await asyncio.sleep(0.1)
            assert not waiting.done()
        assert (await waiting).applied == [step.name]


async def test_an_unreachable_server_is_said_at_once() -> None:
    with pytest.raises(DatabaseUnavailableError, match="cannot be reached"):
        async with open_database("postgresql://nobody@127.0.0.1:1/none", wait=5):
            pass
