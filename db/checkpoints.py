"""LangGraph's checkpointer over our pool; for a claimed run, each write requires the claim."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import AsyncCursor
from psycopg.rows import DictRow, dict_row

from selfheal.db import claims
from selfheal.db.claims import Claim
from selfheal.db.errors import translated
from selfheal.db.pool import Pool, again


class PoolSaver(AsyncPostgresSaver):
    """A checkpointer limited by the pool only: LangGraph's own has one lock for all calls.

    Each write is one transaction, which is retried after a conflict.
    """

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

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint."""
        put = super().aput
        return await again(lambda: put(config, checkpoint, metadata, new_versions))

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Save the writes of a task."""
        put = super().aput_writes
        await again(lambda: put(config, writes, task_id, task_path))

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete the checkpoints of a thread."""
        delete = super().adelete_thread
        await again(lambda: delete(thread_id))

    async def _before_writing(self, connection: Any) -> None:
        """Do nothing: without a claim there is nothing to check."""


class FencedSaver(PoolSaver):
    """A checkpointer whose writes are refused after another process has claimed the run."""

    def __init__(self, pool: Pool, claim: Claim) -> None:
        super().__init__(pool)
        self._claim = claim

    async def _before_writing(self, connection: Any) -> None:
        """Lock the claim until the write is committed.

        Raises:
            ClaimLostError: another process has it; nothing was written.
        """
        await claims.hold(connection, self._claim)
