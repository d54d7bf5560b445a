"""Bring a database's schema up to this version of the program."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from procrastinate.schema import SchemaManager

from db.errors import DatabaseError
from db.pool import Connection, Database

_LOCK = 7_350_113_901  # any number of our own: advisory locks share one space per database
_FILE = re.compile(r"^(?P<number>\d{4})_\w+\.sql$")


@dataclass(frozen=True, slots=True)
class Migration:
    """One ordered step of the schema."""

    number: int
    name: str
    sql: bytes


def migrations() -> list[Migration]:
    """Return all steps that this program knows, in order."""
    return sorted(_read(), key=lambda migration: migration.number)


def _read() -> Iterator[Migration]:
    for file in (files("db") / "migrations").iterdir():
        if match := _FILE.match(file.name):
            yield Migration(int(match["number"]), file.name, file.read_bytes())


async def migrate(database: Database) -> list[str]:
    """Apply what is missing, the checkpointer's tables too; return the names of what was applied.

    Safe to call from several processes at once: one works, the others wait.

    Raises:
        DatabaseError: the database was made by a newer version of this program.
    """
    async with database.connection() as connection:
        await _lock(connection)
        try:
            applied = await _apply(connection)
            await AsyncPostgresSaver(connection).setup()
            await _make_queue(connection)
        finally:
            await connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))
    return applied


async def _make_queue(connection: Connection) -> None:
    """Make the queue's tables, if they are not there.

    procrastinate's schema has not changed since 3.4; when a version of it brings changes, they
    belong into a migration of ours, so that old and new processes can share a database.
    """
    cursor = await connection.execute("SELECT to_regclass('procrastinate_jobs') AS found")
    row = await cursor.fetchone()
    if row and row["found"] is None:
        async with connection.transaction():
            await connection.execute(SchemaManager.get_schema(), prepare=False)


async def _lock(connection: Connection) -> None:
    """Take the advisory lock by asking again and again.

    A session that waits inside pg_advisory_lock holds a snapshot, and the saver's
    CREATE INDEX CONCURRENTLY waits for every snapshot: the two would wait for each other.
    """
    while True:
        cursor = await connection.execute("SELECT pg_try_advisory_lock(%s) AS mine", (_LOCK,))
        row = await cursor.fetchone()
        if row and row["mine"]:
            return
        await asyncio.sleep(0.1)


async def _apply(connection: Connection) -> list[str]:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations (number integer PRIMARY KEY, name text NOT"
        " NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"
    )
    cursor = await connection.execute("SELECT number FROM schema_migrations")
    done = {row["number"] for row in await cursor.fetchall()}
    known = migrations()
    if ahead := done - {migration.number for migration in known}:
        raise DatabaseError(
            f"this database has schema {max(ahead):04d}, which this version of selfheal does not"
            " know: install the version that made it, or a newer one"
        )
    missing = [migration for migration in known if migration.number not in done]
    for migration in missing:
        async with connection.transaction():
            await connection.execute(migration.sql, prepare=False)
            await connection.execute(
                "INSERT INTO schema_migrations (number, name) VALUES (%s, %s)",
                (migration.number, migration.name),
            )
    return [migration.name for migration in missing]
