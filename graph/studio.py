"""What LangGraph Studio's server loads beside the graph: checkpoints in Postgres."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from graph.context import open_context


@asynccontextmanager
async def checkpointer() -> AsyncIterator[AsyncPostgresSaver]:
    """Open everything that runs in Studio need, and yield the saver of their checkpoints."""
    async with open_context() as (_, database):
        yield AsyncPostgresSaver(database.pool)
