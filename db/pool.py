"""The pool of connections of a process."""

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

# The pool doubles the time between attempts up to minutes, and would not notice that Postgres is
# back. So it gives up early instead, and the next request starts again.
RECONNECT_SECONDS: Final = 2.0
_WAIT_WHILE_LOST: Final = 1.0


class CancellablePool(AsyncConnectionPool[ACT]):
    """A pool that does not lose cancellations.

    `asyncio.wait_for`, by which psycopg waits for a connection, swallows on Python 3.11 a
    cancellation that arrives together with the connection, so that the task would continue.
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
    """A pool of connections that raises our errors.

    Args:
        pool: of psycopg; public for LangGraph's checkpointer, which takes one.
        url: of the server itself, not of a pooler.
    """

    def __init__(self, pool: Pool, url: str) -> None:
        self.pool = pool
        self._url = url
        self._lost = False

    @property
    def url(self) -> str:
        """The address of the server itself, for separate connections, such as for LISTEN."""
        return self._url

    async def note_loss(self) -> None:
        """Note that Postgres cannot be reached: callers now wait for a second only."""
        self._lost = True

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection in autocommit mode.

        Raises:
            DatabaseUnavailableError: none was available in time, or it was lost.
            DatabaseError: a statement was refused.
        """
        with translated():
            async with self.pool.connection(_WAIT_WHILE_LOST if self._lost else None) as connection:
                self._lost = False
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection in one transaction; an exception rolls it back.

        It is not retried after a conflict: see `run`.
        """
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do work in one transaction, and retry it after a conflict with another transaction.

        Args:
            work: has no effects but those on the connection, since it may be called again.

        Raises:
            TransactionConflictError: there was a conflict each time.
            DatabaseError: Postgres cannot be reached, or refused.
        """

        async def once() -> T:
            async with self.transaction() as connection:
                return await work(connection)

        return await again(once)

    async def check(self) -> None:
        """Check readiness: have the server use space on its disk, and write a row.

        Raises:
            DatabaseError: Postgres cannot be reached, or refused.
        """
        async with self.connection() as connection:
            async with connection.transaction():
                await connection.execute(_SQL["little_memory"])
                await connection.execute(_SQL["take_space"])
            await connection.execute(_SQL["write"])


async def again(attempt: Callable[[], Awaitable[T]]) -> T:
    """Retry an attempt up to four times after conflicts with other transactions.

    Raises:
        TransactionConflictError: there was a conflict each time.
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
        direct_url: of the same server, if `url` is that of a pooler such as PgBouncer, whose
            connections can neither listen nor keep prepared statements.
        size: connections at most.
        wait: seconds to wait for the first connection, and later for a free one.

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
        reconnect_failed=lambda _: database.note_loss(),
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
