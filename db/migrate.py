"""Bring a database's schema up to this version of the program."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from procrastinate.schema import SchemaManager
from psycopg.errors import LockNotAvailable

from selfheal.db.errors import DatabaseError, SchemaError
from selfheal.db.pool import Connection, Database

logger = logging.getLogger(__name__)

_LOCK: Final = 7_350_113_901  # a number of our own: advisory locks share one space per database
_FILE: Final = re.compile(r"^(?P<number>\d{4})_\w+(\.breaking)?\.sql$")
_BREAKING: Final = ".breaking.sql"
_TRIES: Final = 30
_VIEWS: Final = "grafana"
_LIMITS: Final = (
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    "statement_timeout",
    "transaction_timeout",
)
_SURROUNDINGS: Final = """
    SELECT current_database() AS name, current_user AS role, current_schema() AS schema,
        current_setting('server_encoding') AS encoding, current_setting('search_path') AS path,
        (SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
         WHERE pg_class.oid = to_regclass('schema_migrations')) AS home,
        has_schema_privilege(current_schema(), 'CREATE') AS may_make_tables,
        CASE WHEN to_regnamespace('grafana') IS NULL
             THEN has_database_privilege(current_database(), 'CREATE')
             ELSE has_schema_privilege('grafana', 'CREATE') END AS may_make_views
"""


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
    for file in (files("selfheal.db") / "migrations").iterdir():
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
        SchemaError: this version cannot work with the schema.
        DatabaseError: this version cannot work with the database, or other transactions hold a
            table.
    """
    async with database.connection() as connection, _without_limits(connection):
        await _lock(connection)
        try:
            await _check(connection)
            migrated = await _apply(connection)
            await AsyncPostgresSaver(connection).setup()
            await _make_queue(connection)
        finally:
            await connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))
    return migrated


async def require_schema(database: Database) -> None:
    """Check that the schema is this version's, without changing anything.

    Raises:
        SchemaError: there is none, or it is older, or so new that this version cannot work with it.
    """
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT to_regclass('schema_migrations') AS found")
        row = await cursor.fetchone()
        done = await _applied(connection) if row and row["found"] else {}
    if not done:
        raise SchemaError("no schema yet: run `selfheal migrate`")
    _newest_unknown(done)
    if missing := {each.number for each in migrations()} - done.keys():
        raise SchemaError(
            f"its schema is of an older version, without {min(missing):04d}: run `selfheal migrate`"
        )


@asynccontextmanager
async def _without_limits(connection: Connection) -> AsyncIterator[None]:
    """Lift the session's time limits: CREATE INDEX CONCURRENTLY cut off leaves a broken index."""
    query = "SELECT name, setting, set_config(name, '0', false) FROM pg_settings WHERE name = ANY("
    limits = await (await connection.execute(query + "%s)", (list(_LIMITS),))).fetchall()
    try:
        yield
    finally:
        if not connection.broken:
            for each in limits:
                before = (each["name"], each["setting"])
                await connection.execute("SELECT set_config(%s, %s, false)", before)


async def _check(connection: Connection) -> None:
    """Refuse a database that the schema cannot be made in, before anything is changed.

    Raises:
        DatabaseError: it cannot; the message says why and what to do.
    """
    [row] = await (await connection.execute(_SURROUNDINGS)).fetchall()
    if refusal := _refusal(row):
        raise DatabaseError(refusal)


def _refusal(found: dict[str, Any]) -> str | None:
    """Return why the schema cannot be made in a database, or None if it can."""
    name, role, schema, home = (found[key] for key in ("name", "role", "schema", "home"))
    if found["encoding"] != "UTF8":
        return (
            f"database {name} stores text as {found['encoding']}, and selfheal needs UTF8:"
            " CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )
    if schema is None:
        return (
            f"no schema of the search path ({found['path']}) is there for role {role}:"
            f" ALTER ROLE {role} IN DATABASE {name} SET search_path = …"
        )
    if schema == _VIEWS:
        return f"schema {_VIEWS} is for the dashboards' views: name another one in the search path"
    if home not in (None, schema):
        return (
            f"selfheal's tables are in schema {home}, and new ones would be made in {schema}:"
            f" ALTER ROLE {role} IN DATABASE {name} SET search_path = {home}"
        )
    if home is None and not found["may_make_tables"]:
        return (
            f"role {role} may make no tables in schema {schema}:"
            f" GRANT CREATE ON SCHEMA {schema} TO {role}"
        )
    if home is None and not found["may_make_views"]:
        return (
            f"role {role} may make no schema {_VIEWS} in database {name}:"
            f" CREATE SCHEMA {_VIEWS} AUTHORIZATION {role}"
        )
    return None


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
    done = await _applied(connection)
    newer = _newest_unknown(done)
    missing = [migration for migration in migrations() if migration.number not in done]
    for migration in missing:
        await _step(connection, migration)
    return Migrated([migration.name for migration in missing], newer)


async def newer_schema(connection: Connection) -> str | None:
    """Return the newest step that a later version has applied to a migrated database, if any."""
    return _newest_unknown(await _applied(connection))


async def _applied(connection: Connection) -> dict[int, str]:
    """Return the steps that were applied: number to name."""
    cursor = await connection.execute("SELECT number, name FROM schema_migrations")
    return {row["number"]: row["name"] for row in await cursor.fetchall()}


def _newest_unknown(done: Mapping[int, str]) -> str | None:
    """Return the newest applied step that is later than all that this version knows, if any.

    Raises:
        SchemaError: such a step says by its name that this version cannot work with it.
    """
    last = max(each.number for each in migrations())
    ahead = {number: name for number, name in done.items() if number > last}
    if any(name.endswith(_BREAKING) for name in ahead.values()):
        raise SchemaError(
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
