"""LangGraph's saver for a claimed run: each write holds the claim, and no lock is shared."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import AsyncCursor
from psycopg.rows import DictRow, dict_row

from db import claims
from db.claims import Claim
from db.errors import translated
from db.pool import Pool


class PoolSaver(AsyncPostgresSaver):
    """A saver that lets the pool do the limiting: LangGraph's own has one lock for all."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self._connections = pool

    @asynccontextmanager
    async def _cursor(self, *, pipeline: bool = False) -> AsyncIterator[AsyncCursor[DictRow]]:
        with translated():
            async with self._connections.connection() as connection:
                if not pipeline:
                    yield connection.cursor(binary=True, row_factory=dict_row)
                    return
                async with connection.pipeline(), connection.transaction():
                    await self._before_writing(connection)
                    yield connection.cursor(binary=True, row_factory=dict_row)

    async def _before_writing(self, connection: Any) -> None:
        """Do nothing: a saver for threads that no run holds."""


class FencedSaver(PoolSaver):
    """A saver whose writes are refused once another process has taken the run over."""

    def __init__(self, pool: Pool, claim: Claim) -> None:
        super().__init__(pool)
        self._claim = claim

    async def _before_writing(self, connection: Any) -> None:
        """Hold the claim until what is written is committed.

        Raises:
            ClaimLostError: it is another's; nothing was written.
        """
        await claims.hold(connection, self._claim)
