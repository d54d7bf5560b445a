"""Answers that take as long as a run does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response, StreamingResponse

from selfheal.db.errors import DatabaseError
from selfheal.db.paging import Page
from selfheal.db.runs import Run
from selfheal.server.execution.stream_events import is_of
from selfheal.server.execution.waiters import Follower
from selfheal.server.serialization import dumps
from selfheal.server.service import Gone, nothing

_HEARTBEAT: Final = 5.0  # seconds


def waiting(
    follower: Follower, run_id: UUID, thread_id: UUID, gone: Gone = nothing
) -> StreamingResponse:
    """Answer with a run's result once it has one; until then blank lines keep the line open.

    A client that is cut off asks again at the address in `Location`.

    Args:
        gone: what is done when the caller goes away before.
    """

    async def body() -> AsyncIterator[str]:
        async with _or(gone) as done:
            ending = asyncio.create_task(follower.end_of(run_id))
            try:
                while not (await asyncio.wait({ending}, timeout=_HEARTBEAT))[0]:
                    yield "\n"
                yield dumps(result_of(await ending))
                done.set()
            finally:
                ending.cancel()

    here = f"/threads/{thread_id}/runs/{run_id}"
    headers = {"Location": f"{here}/join", "Content-Location": here}
    return StreamingResponse(body(), media_type="application/json", headers=headers)


def streaming(
    follower: Follower,
    run_id: UUID,
    thread_id: UUID,
    after: int,
    gone: Gone = nothing,
    only: Sequence[str] = (),
) -> StreamingResponse:
    """Answer with a run's events as they happen, from behind number `after`.

    Args:
        only: the modes whose events are wanted; all if none is named.
    """

    async def body() -> AsyncIterator[str]:
        async with _or(gone) as done:
            async for event in _with_heartbeats(follower, run_id, after, only):
                yield event
            done.set()

    here = f"/threads/{thread_id}/runs/{run_id}"
    headers = {
        "Location": f"{here}/stream",
        "Content-Location": here,
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
    }
    return StreamingResponse(body(), media_type="text/event-stream", headers=headers)


async def _with_heartbeats(
    follower: Follower, run_id: UUID, after: int, only: Sequence[str]
) -> AsyncIterator[str]:
    last = after
    events = follower.events_of(run_id, after)
    coming: asyncio.Task[Any] = asyncio.create_task(anext(events, None))
    try:
        while True:
            if not (await asyncio.wait({coming}, timeout=_HEARTBEAT))[0]:
                yield ": heartbeat\r\n\r\n"
                continue
            event = await coming
            if event is None:
                break
            last = event.seq
            if is_of(event.event, only):
                yield _event(event.event, event.data, last)
            coming = asyncio.create_task(anext(events, None))
    finally:
        coming.cancel()
    run = await follower.end_of(run_id)
    if run is not None and (error := _failure(run)):
        last += 1
        yield _event("error", dumps(error), last)
    yield _event("end", "null", last + 1)


def _event(name: str, data: str, number: int) -> str:
    return f"event: {name}\r\ndata: {data}\r\nid: {number}\r\n\r\n"


@contextlib.asynccontextmanager
async def _or(gone: Gone) -> AsyncIterator[asyncio.Event]:
    """Yield what is to be set once all was told; do `gone` if the caller went away before."""
    done = asyncio.Event()
    try:
        yield done
    finally:
        if not done.is_set():
            with contextlib.suppress(DatabaseError):
                await asyncio.shield(gone())


def tell_next(response: Response, found: Page[Any], then: object) -> None:
    """Tell a client of a list where the rest begins, if there is more of it.

    Args:
        then: what the next request gives as `offset` or `before`.
    """
    if found.more:
        response.headers["X-Pagination-Next"] = str(then)


def result_of(run: Run | None) -> dict[str, Any]:
    """Return what a run gave, as `wait` and `join` answer it."""
    if run is None:
        return {}
    if error := _failure(run):
        return {"run_id": str(run.id), "__error__": error}
    return {"run_id": str(run.id), **(run.output or {})}


def _failure(run: Run) -> dict[str, Any] | None:
    if run.status not in ("error", "timeout"):
        return None
    return {"error": run.outcome, "message": run.message}
