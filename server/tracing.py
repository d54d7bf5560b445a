"""LangSmith: a trace for each run, never in the way of one."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from uuid import UUID

from langsmith import run_trees, utils
from langsmith.run_helpers import trace

_DRAIN_SECONDS = 2.0


@asynccontextmanager
async def tracing() -> AsyncIterator[None]:
    """Bound what tracing may hold in memory, and how it may delay the exit.

    Enter it before the first run: the client reads these settings once.
    """
    os.environ.setdefault("LANGSMITH_USE_DAEMON", "true")
    os.environ.setdefault("LANGSMITH_TRACING_QUEUE_MAX_SIZE", "200")
    try:
        yield
    finally:
        await asyncio.to_thread(_close)


def _close() -> None:
    """Send what is left, for two seconds at most: a dead endpoint must not hang the exit."""
    if utils.tracing_is_enabled():
        run_trees.get_cached_client().close(timeout=_DRAIN_SECONDS)


@contextmanager
def traced_run(
    run_id: UUID, thread_id: UUID, request: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Trace what happens inside as the run `run_id`.

    Yields a dict: what the caller puts there becomes metadata of the trace when it ends.
    """
    known_at_the_end: dict[str, Any] = {}
    if not utils.tracing_is_enabled():
        yield known_at_the_end
        return
    metadata = {"run_id": str(run_id), "thread_id": str(thread_id)}
    with trace("agent run", run_id=run_id, inputs=dict(request), metadata=metadata) as tree:
        try:
            yield known_at_the_end
        finally:
            tree.add_metadata(known_at_the_end)
