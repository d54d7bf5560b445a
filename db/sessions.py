"""Connections, and the session settings that this program relies on.

A database or a role may have other defaults (`ALTER DATABASE … SET`). Settings that change what a
statement means or returns are set for each session. Those that only limit, such as
`statement_timeout` or `default_transaction_read_only`, are left to the operator.
"""

import asyncio
from typing import Any, Final
from uuid import uuid4

from psycopg import AsyncConnection, AsyncCursor, IsolationLevel
from psycopg.abc import Params
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, Row, dict_row

from selfheal.db.errors import DatabaseError, SessionLostError

Connection = AsyncConnection[DictRow]

# No start-up `options`: poolers refuse them.
CONNECT: Final[dict[str, Any]] = {
    "autocommit": True,
    "prepare_threshold": 0,
    "row_factory": dict_row,
    "connect_timeout": 5,
    "client_encoding": "UTF8",
}

# Kept by a pooler in transaction mode for each of its clients, whichever session it lends.
_KEPT_BY_POOLERS: Final = {
    "DateStyle": "ISO, MDY",
    "standard_conforming_strings": "on",
    "TimeZone": "UTC",
}
_PINNED: Final = _KEPT_BY_POOLERS | {
    "array_nulls": "on",
    "bytea_output": "hex",
    "default_transaction_deferrable": "off",
    "default_transaction_isolation": "read committed",
    "extra_float_digits": "1",
    "idle_session_timeout": "0",  # sessions are idle in the pool, and while listening
    "IntervalStyle": "postgres",
    "transform_null_equals": "off",
}
_SET: Final = """
    SELECT set_config(name, value, false)
    FROM unnest(%(names)s::text[], %(values)s::text[]) AS given (name, value)
"""
_PROBING: Final = 5.0  # seconds
_OLDEST: Final = 14


async def connect(url: str) -> Connection:
    """Open a connection outside of the pool, with the settings that this program relies on."""
    connection: Connection = await AsyncConnection.connect(url, **CONNECT)
    try:
        await pin(connection)
    except BaseException:
        await connection.close()
        raise
    return connection


async def pin(connection: AsyncConnection[Any]) -> None:
    """Set the settings of a session that this program relies on."""
    await _pin(connection, _PINNED)


async def pin_shared(connection: AsyncConnection[Any]) -> None:
    """Set what can be set if a pooler lends another session for each transaction.

    The isolation level comes with each transaction instead: see `SharedCursor`.
    """
    await _pin(connection, _KEPT_BY_POOLERS)


async def _pin(connection: AsyncConnection[Any], values: dict[str, str]) -> None:
    # Part of each BEGIN, and so independent of the session's default.
    await connection.set_isolation_level(IsolationLevel.READ_COMMITTED)
    given = {"names": list(values), "values": list(values.values())}
    await AsyncCursor(connection).execute(_SET, given, prepare=False)
    await connection.commit()


class SharedCursor(AsyncCursor[Row]):
    """A cursor that runs single statements in explicit transactions with their isolation level.

    In autocommit mode a statement has the session's default isolation level, which cannot be set if
    a pooler lends the sessions.
    """

    async def execute(  # noqa: D102 - the driver's
        self,
        query: Any,
        params: Params | None = None,
        *,
        prepare: bool | None = None,
        binary: bool | None = None,
    ) -> "SharedCursor[Row]":
        if self.connection.info.transaction_status != TransactionStatus.IDLE:
            await super().execute(query, params, prepare=prepare, binary=binary)
            return self
        async with self.connection.transaction():
            await super().execute(query, params, prepare=prepare, binary=binary)
        return self


async def probe(url: str, *, shared: bool) -> None:
    """Connect once, to raise the errors that a pool would only log.

    Args:
        url: a libpq URL or conninfo.
        shared: a pooler may lend a session to several clients.

    Raises:
        psycopg.OperationalError: the address, the password or the server does not work.
        SessionLostError: there is such a pooler although `shared` is False.
        DatabaseError: the server is too old.
    """
    settings = CONNECT | {"prepare_threshold": None}
    async with await AsyncConnection.connect(url, **settings) as connection:
        if connection.info.server_version < _OLDEST * 10_000:
            raise DatabaseError(f"Postgres {_OLDEST} or later is needed")
        if shared or await _is_of_the_server(connection):
            return
        try:
            async with (
                asyncio.timeout(_PROBING),
                await AsyncConnection.connect(url, **settings) as other,
            ):
                kept = await _keeps_a_session(connection, other)
        except TimeoutError:  # the pooler has one session: the clients wait for each other
            kept = False
        if not kept:
            raise SessionLostError("sessions are not kept")


async def _is_of_the_server(connection: Connection) -> bool:
    """Return whether there is no pooler, which reports another process id than the server."""
    row = await (await connection.execute("SELECT pg_backend_pid() AS pid")).fetchone()
    return row is not None and row["pid"] == connection.info.backend_pid


async def _keeps_a_session(one: Connection, other: Connection) -> bool:
    """Return whether a client keeps its session while another one has a transaction."""
    token = uuid4().hex
    await one.execute("SELECT set_config('selfheal.session', %s, false)", (token,))
    async with other.transaction():
        return token != await _session(other) and token == await _session(one)


async def _session(connection: Connection) -> str | None:
    query = "SELECT current_setting('selfheal.session', true) AS token"
    row = await (await connection.execute(query)).fetchone()
    return row["token"] if row else None
