"""The connections of one process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from db.errors import translated

Connection = AsyncConnection[DictRow]
Pool = AsyncConnectionPool[Connection]

_CONNECT: dict[str, Any] = {
    "autocommit": True,
    "prepare_threshold": 0,
    "row_factory": dict_row,
    "connect_timeout": 5,
}


class Database:
    """A pool of connections whose errors are ours.

    `pool` is there for LangGraph's saver, which takes a psycopg pool.
    """

    def __init__(self, pool: Pool, url: str) -> None:
        self.pool = pool
        self._url = url

    @property
    def url(self) -> str:
        """The server's own address, for who needs connections of their own: to listen, for one."""
        return self._url

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection in autocommit.

        Raises:
            DatabaseUnavailableError: none could be had in time, or it was lost while lent.
            DatabaseError: a statement was refused.
        """
        with translated():
            async with self.pool.connection() as connection:
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
    pool: Pool = AsyncConnectionPool(
        url, kwargs=settings, min_size=1, max_size=size, timeout=wait, open=False
    )
    with translated():
        await probe(url)
        await pool.open(wait=True, timeout=wait)
    try:
        yield Database(pool, direct_url or url)
    finally:
        await pool.close()


async def probe(url: str) -> None:
    """Connect once, for the reason that the pool would only log.

    Raises:
        psycopg.OperationalError: what is wrong with the address, the password or the server.
    """
    connection = await AsyncConnection.connect(url, **_CONNECT)
    await connection.close()
