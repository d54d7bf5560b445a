"""Migration of a database's schema to that of this version."""

import asyncio
import hashlib
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
from selfheal.db.queries import fetch_all, fetch_value

logger = logging.getLogger(__name__)

_LOCK: Final = 7_350_113_901  # arbitrary: the advisory locks of a database share one space
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
    """One step of the schema, from a file `NNNN_<name>.sql`."""

    number: int
    name: str
    sql: bytes

    @property
    def checksum(self) -> str:
        """The SHA-256 of the text, in hexadecimal, whatever its line ends."""
        return hashlib.sha256(self.sql.replace(b"\r\n", b"\n")).hexdigest()


def migrations() -> list[Migration]:
    """Return all migrations of this version, in order."""
    return sorted(_read(), key=lambda migration: migration.number)


def _read() -> Iterator[Migration]:
    for file in (files("selfheal.db") / "migrations").iterdir():
        if match := _FILE.match(file.name):
            yield Migration(int(match["number"]), file.name, file.read_bytes())


@dataclass(frozen=True, slots=True)
class Migrated:
    """The result of `migrate`.

    Attributes:
        applied: the names of the migrations that were applied now, in order.
        newer: the newest migration that a later version has applied; None if there is none.
    """

    applied: list[str]
    newer: str | None


async def migrate(database: Database) -> Migrated:
    """Apply missing migrations, and create the tables of the checkpointer and the queue.

    Several processes may call it at the same time: one works, the others wait. A schema of a newer
    version is left as it is: processes of the version before share it, unless the name of a
    migration that they do not know ends in `.breaking.sql`.

    Raises:
        SchemaError: this version cannot work with the schema, or an applied migration was edited.
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
    """Check that the schema is that of this version, without changing anything.

    Raises:
        SchemaError: there is none, it is older, this version cannot work with it, or an applied
            migration was edited.
    """
    async with database.connection() as connection:
        exists = await fetch_value(connection, b"SELECT to_regclass('schema_migrations')")
        applied = await _applied(connection) if exists else {}
    if not applied:
        raise SchemaError("no schema yet: run `selfheal migrate`")
    _newest_unknown(applied)
    _refuse_edited(applied)
    if missing := {migration.number for migration in migrations()} - applied.keys():
        raise SchemaError(
            f"its schema is of an older version, without {min(missing):04d}: run `selfheal migrate`"
        )


@asynccontextmanager
async def _without_limits(connection: Connection) -> AsyncIterator[None]:
    """Lift the session's time limits: a cancelled CREATE INDEX CONCURRENTLY leaves a bad index."""
    query = "SELECT name, setting, set_config(name, '0', false) FROM pg_settings WHERE name = ANY("
    limits = await (await connection.execute(query + "%s)", (list(_LIMITS),))).fetchall()
    try:
        yield
    finally:
        if not connection.broken:
            for limit in limits:
                before = (limit["name"], limit["setting"])
                await connection.execute("SELECT set_config(%s, %s, false)", before)


async def _check(connection: Connection) -> None:
    """Check that the schema can be created in this database, before anything is changed.

    Raises:
        DatabaseError: it cannot; the message says why and what to do.
    """
    [row] = await (await connection.execute(_SURROUNDINGS)).fetchall()
    if refusal := _refusal(row):
        raise DatabaseError(refusal)


def _refusal(found: dict[str, Any]) -> str | None:
    """Return why the schema cannot be created in a database; None if it can."""
    name, role, schema, home = (found[key] for key in ("name", "role", "schema", "home"))
    if found["encoding"] != "UTF8":
        return (
            f"database {name} has the encoding {found['encoding']}, and selfheal needs UTF8:"
            " CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )
    if schema is None:
        return (
            f"no schema of the search path ({found['path']}) can be used by role {role}:"
            f" ALTER ROLE {role} IN DATABASE {name} SET search_path = …"
        )
    if schema == _VIEWS:
        return (
            f"schema {_VIEWS} is reserved for the dashboards' views:"
            " put another one first in the search path"
        )
    if home not in (None, schema):
        return (
            f"selfheal's tables are in schema {home}, and new ones would be created in {schema}:"
            f" ALTER ROLE {role} IN DATABASE {name} SET search_path = {home}"
        )
    if home is None and not found["may_make_tables"]:
        return (
            f"role {role} may not create tables in schema {schema}:"
            f" GRANT CREATE ON SCHEMA {schema} TO {role}"
        )
    if home is None and not found["may_make_views"]:
        return (
            f"role {role} may not create schema {_VIEWS} in database {name}:"
            f" CREATE SCHEMA {_VIEWS} AUTHORIZATION {role}"
        )
    return None


async def _make_queue(connection: Connection) -> None:
    """Create the queue's tables if they do not exist.

    procrastinate's schema has not changed since 3.4. Changes of a later version belong in a
    migration of ours, so that old and new processes can share a database.
    """
    if await fetch_value(connection, b"SELECT to_regclass('procrastinate_jobs')") is None:
        async with connection.transaction():
            await connection.execute(SchemaManager.get_schema(), prepare=False)


async def _lock(connection: Connection) -> None:
    """Take the advisory lock by polling.

    A session that waits inside pg_advisory_lock holds a snapshot, and the checkpointer's
    CREATE INDEX CONCURRENTLY waits for every snapshot: the two would deadlock.
    """
    query = b"SELECT pg_try_advisory_lock(%(lock)s)"
    while not await fetch_value(connection, query, {"lock": _LOCK}):  # noqa: ASYNC110 - Postgres
        await asyncio.sleep(0.1)


async def _apply(connection: Connection) -> Migrated:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations (number integer PRIMARY KEY, name text NOT"
        " NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"
    )
    applied = await _applied(connection)
    newer = _newest_unknown(applied)
    _refuse_edited(applied)
    missing = [migration for migration in migrations() if migration.number not in applied]
    for migration in missing:
        await _step(connection, migration)
    await _store_checksums(connection)
    return Migrated([migration.name for migration in missing], newer)


async def newer_schema(connection: Connection) -> str | None:
    """Return the newest migration that a later version has applied; None if there is none."""
    return _newest_unknown(await _applied(connection))


@dataclass(frozen=True, slots=True)
class _Applied:
    """A row of schema_migrations; `checksum` is null until `_store_checksums` fills it."""

    number: int
    name: str
    checksum: str | None


async def _applied(connection: Connection) -> dict[int, _Applied]:
    """Return the applied migrations by number. The table may not have the checksums yet."""
    query = b"SELECT number, name, to_jsonb(m) ->> 'checksum' AS checksum FROM schema_migrations m"
    return {row.number: row for row in await fetch_all(connection, query, None, _Applied)}


def _refuse_edited(applied: Mapping[int, _Applied]) -> None:
    """Check that applied migrations are still what they were: their edits are never applied.

    Raises:
        SchemaError: one is not.
    """
    for migration in migrations():
        row = applied.get(migration.number)
        if row and row.checksum not in (None, migration.checksum):
            raise SchemaError(
                f"{migration.name} was edited after it was applied to this database: restore the"
                " file, and put the change into a new migration"
            )


async def _store_checksums(connection: Connection) -> None:
    """Store the checksums of migrations that have none yet."""
    known = {migration.number: migration.checksum for migration in migrations()}
    await connection.execute(
        "UPDATE schema_migrations m SET checksum = known.checksum"
        " FROM unnest(%s::integer[], %s::text[]) AS known (number, checksum)"
        " WHERE m.number = known.number AND m.checksum IS NULL",
        (list(known), list(known.values())),
    )


def _newest_unknown(applied: Mapping[int, _Applied]) -> str | None:
    """Return the name of the newest applied migration that this version does not know, if any.

    Raises:
        SchemaError: this version cannot work with such a migration, according to its name.
    """
    last = max(migration.number for migration in migrations())
    ahead = {number: row.name for number, row in applied.items() if number > last}
    if any(name.endswith(_BREAKING) for name in ahead.values()):
        raise SchemaError(
            f"this database has schema {max(ahead):04d}, which this version of selfheal cannot"
            " work with: install the version that made it, or a newer one"
        )
    return ahead[max(ahead)] if ahead else None


async def _step(connection: Connection, migration: Migration) -> None:
    """Apply one migration.

    It waits for a table's lock for a second at a time, since other sessions queue behind it.

    Raises:
        DatabaseError: another transaction held a table all the time.
    """
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
            logger.warning("%s waits for a table that other transactions hold", migration.name)
            await asyncio.sleep(1)
        else:
            return
    raise DatabaseError(
        f"{migration.name} could not be applied: another transaction held a table for a minute;"
        " see pg_stat_activity, then try again"
    )
