"""The connections of one process."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from psycopg_pool import AsyncConnectionPool
from psycopg_pool.abc import ACT

from selfheal.db import queries, sessions
from selfheal.db.errors import TransactionConflictError, translated
from selfheal.db.sessions import CONNECT, Connection

__all__ = ["CancellablePool", "Connection", "Database", "Pool", "again", "open_database"]

Pool = AsyncConnectionPool[Connection]
T = TypeVar("T")

_SQL = queries.load("readiness")
_ATTEMPTS: Final = 5
_FIRST_PAUSE: Final = 0.02  # seconds; then twice as long each time, less a random part

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
        """Lend a connection in one transaction; an exception rolls it back.

        What is done in it is not tried again: see `run`.
        """
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do work in one transaction, again if another transaction was in its way.

        Args:
            work: does all that it does on the connection: each attempt begins with nothing done.

        Raises:
            TransactionConflictError: another was in its way each time.
            DatabaseError: Postgres cannot be reached or refused.
        """

        async def once() -> T:
            async with self.transaction() as connection:
                return await work(connection)

        return await again(once)

    async def check(self) -> None:
        """Do what every run needs: have the server take space on its disk, and write a row.

        Raises:
            DatabaseError: Postgres cannot be reached or refused.
        """
        async with self.connection() as connection:
            async with connection.transaction():
                await connection.execute(_SQL["little_memory"])
                await connection.execute(_SQL["take_space"])
            await connection.execute(_SQL["write"])


async def again(attempt: Callable[[], Awaitable[T]]) -> T:
    """Make an attempt, and up to four more while other transactions are in the way.

    Raises:
        TransactionConflictError: they were each time.
    """
    for pause in (_FIRST_PAUSE * 2**number for number in range(_ATTEMPTS - 1)):
        try:
            return await attempt()
        except TransactionConflictError:
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret
    return await attempt()


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
        SessionLostError: there is a pooler, and no `direct_url`.
    """
    shared = {"prepare_threshold": None, "cursor_factory": sessions.SharedCursor}
    pool: Pool = CancellablePool(
        url,
        kwargs=CONNECT | shared if direct_url else CONNECT,
        configure=sessions.pin_shared if direct_url else sessions.pin,
        min_size=1,
        max_size=size,
        timeout=wait,
        reconnect_timeout=RECONNECT_SECONDS,
        reconnect_failed=lambda _: database.lost(),
        open=False,
    )
    database: Database = Database(pool, direct_url or url)
    with translated():
        await sessions.probe(url, shared=direct_url is not None)
        await pool.open(wait=True, timeout=wait)
    try:
        yield database
    finally:
        await pool.close()
