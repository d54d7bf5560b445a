"""The connections of one process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool
from psycopg_pool.abc import ACT

from db.errors import translated

Connection = AsyncConnection[DictRow]
Pool = AsyncConnectionPool[Connection]

_CONNECT: dict[str, Any] = {
    "autocommit": True,
    "prepare_threshold": 0,
    "row_factory": dict_row,
    "connect_timeout": 5,
}


# The pool's own patience doubles the time between two attempts, up to minutes: a Postgres that is
# back would go unused. It gives up soon instead, and begins anew with the next who asks.
RECONNECT_SECONDS: Final = 2.0
_WHILE_AWAY: Final = 1.0


class CancellablePool(AsyncConnectionPool[ACT]):
    """A pool at which a cancellation is not lost.

    `asyncio.wait_for`, by which psycopg waits for a connection, swallows on Python 3.11 a
    cancellation that comes together with the connection: what was told to stop would go on.
    """

    async def getconn(self, timeout: float | None = None) -> ACT:  # noqa: ASYNC109 - its
        """Take a connection out of the pool."""
        task = asyncio.current_task()
        before = task.cancelling() if task else 0
        connection = await super().getconn(timeout)
        if task and task.cancelling() > before:
            await self.putconn(connection)
            raise asyncio.CancelledError
        return connection


class Database:
    """A pool of connections whose errors are ours.

    `pool` is there for LangGraph's saver, which takes a psycopg pool.
    """

    def __init__(self, pool: Pool, url: str) -> None:
        self.pool = pool
        self._url = url
        self._away = False

    @property
    def url(self) -> str:
        """The server's own address, for who needs connections of their own: to listen, for one."""
        return self._url

    async def lost(self) -> None:
        """Learn that Postgres cannot be reached: who asks from now on waits for a second only."""
        self._away = True

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection in autocommit.

        Raises:
            DatabaseUnavailableError: none could be had in time, or it was lost while lent.
            DatabaseError: a statement was refused.
        """
        with translated():
            async with self.pool.connection(_WHILE_AWAY if self._away else None) as connection:
                self._away = False
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection in one transaction; an exception rolls it back."""
        async with self.connection() as connection, connection.transaction():
            yield connection


@asynccontextmanager
async def open_database(
    url: str, *, direct_url: str | None = None, size: int = 16, wait: float = 10.0
) -> AsyncIterator[Database]:
    """Open the pool of a process.

    Args:
        url: a libpq URL or conninfo.
        direct_url: the same server's, where `url` goes through a pooler such as PgBouncer: a
            pooler's connections can neither listen nor keep prepared statements.
        size: connections at most.
        wait: seconds to wait for the first connection, and for one to come free later.

    Raises:
        DatabaseUnavailableError: no connection within `wait` seconds.
    """
    settings = _CONNECT | {"prepare_threshold": None} if direct_url else _CONNECT
    pool: Pool = CancellablePool(
        url,
        kwargs=settings,
        min_size=1,
        max_size=size,
        timeout=wait,
        reconnect_timeout=RECONNECT_SECONDS,
        reconnect_failed=lambda _: database.lost(),
        open=False,
    )
    database: Database = Database(pool, direct_url or url)
    with translated():
        await probe(url)
        await pool.open(wait=True, timeout=wait)
    try:
        yield database
    finally:
        await pool.close()


async def probe(url: str) -> None:
    """Connect once, for the reason that the pool would only log.

    Raises:
        psycopg.OperationalError: what is wrong with the address, the password or the server.
    """
    connection = await AsyncConnection.connect(url, **_CONNECT)
    await connection.close()
