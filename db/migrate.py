"""Bring a database's schema up to this version of the program."""

import asyncio
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from procrastinate.schema import SchemaManager
from psycopg.errors import LockNotAvailable

from db.errors import DatabaseError
from db.pool import Connection, Database

logger = logging.getLogger(__name__)

_LOCK: Final = 7_350_113_901  # a number of our own: advisory locks share one space per database
_FILE: Final = re.compile(r"^(?P<number>\d{4})_\w+(\.breaking)?\.sql$")
_BREAKING: Final = ".breaking.sql"
_TRIES: Final = 30


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


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a migration came to.

    Attributes:
        applied: the names of the steps that were applied now, in order.
        newer: the newest step that a later version has applied; null if there is none.
    """

    applied: list[str]
    newer: str | None


async def migrate(database: Database) -> Migrated:
    """Apply what is missing, the checkpointer's tables too.

    Safe to call from several processes at once: one works, the others wait. A schema of a newer
    version is left as it is: processes of the version before share it, unless a step that they do
    not know says by its name that they cannot.

    Raises:
        DatabaseError: this version cannot work with the schema, or other transactions hold a table.
    """
    async with database.connection() as connection:
        await _lock(connection)
        try:
            migrated = await _apply(connection)
            await AsyncPostgresSaver(connection).setup()
            await _make_queue(connection)
        finally:
            await connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))
    return migrated


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


async def _apply(connection: Connection) -> Migrated:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations (number integer PRIMARY KEY, name text NOT"
        " NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"
    )
    done = await _done(connection)
    newer = _newest_unknown(done)
    missing = [migration for migration in migrations() if migration.number not in done]
    for migration in missing:
        await _step(connection, migration)
    return Migrated([migration.name for migration in missing], newer)


async def newer_schema(connection: Connection) -> str | None:
    """Return the newest step that a later version has applied to a migrated database, if any."""
    return _newest_unknown(await _done(connection))


async def _done(connection: Connection) -> dict[int, str]:
    cursor = await connection.execute("SELECT number, name FROM schema_migrations")
    return {row["number"]: row["name"] for row in await cursor.fetchall()}


def _newest_unknown(done: Mapping[int, str]) -> str | None:
    """Return the newest applied step that is later than all that this version knows, if any.

    Raises:
        DatabaseError: such a step says by its name that this version cannot work with it.
    """
    last = max(each.number for each in migrations())
    ahead = {number: name for number, name in done.items() if number > last}
    if any(name.endswith(_BREAKING) for name in ahead.values()):
        raise DatabaseError(
            f"this database has schema {max(ahead):04d}, which this version of selfheal cannot"
            " work with: install the version that made it, or a newer one"
        )
    return ahead[max(ahead)] if ahead else None


async def _step(connection: Connection, migration: Migration) -> None:
    """Apply one step, never queueing for a table's lock for long: all others would queue behind."""
    for _ in range(_TRIES):
        try:
            async with connection.transaction():
                await connection.execute("SET LOCAL lock_timeout = '1s'")
                await connection.execute(migration.sql, prepare=False)
                await connection.execute(
                    "INSERT INTO schema_migrations (number, name) VALUES (%s, %s)",
                    (migration.number, migration.name),
                )
        except LockNotAvailable:
            logger.warning("%s waits for a table that others hold", migration.name)
            await asyncio.sleep(1)
        else:
            return
    raise DatabaseError(
        f"{migration.name} could not be applied: another transaction held a table for a minute;"
        " see pg_stat_activity, then try again"
    )
