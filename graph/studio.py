"""What LangGraph Studio's server loads beside the graph: checkpoints in Postgres."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from db.checkpoints import PoolSaver
from graph.context import open_context


@asynccontextmanager
async def checkpointer() -> AsyncIterator[PoolSaver]:
    """Open everything that runs in Studio need, and yield the saver of their checkpoints."""
    async with open_context() as (_, database):
        yield PoolSaver(database.pool)
