"""Answers that last as long as a run: its result, or its events."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response, StreamingResponse

from selfheal.db.errors import DatabaseError
from selfheal.db.paging import Page
from selfheal.db.runs import Run
from selfheal.server.execution.notifications import RunWaiter
from selfheal.server.serialization import dumps

_HEARTBEAT: Final = 5.0  # seconds

OnDisconnect = Callable[[], Awaitable[None]] | None
"""Called if the client disconnects before the end; None if nothing is to be done."""


def waiting(
    waiter: RunWaiter, run_id: UUID, thread_id: UUID, on_disconnect: OnDisconnect = None
) -> StreamingResponse:
    """Answer with a run's result when it has ended; until then blank lines keep the connection.

    A client that was disconnected can request the result again at the URL in `Location`.
    """

    async def body() -> AsyncIterator[str]:
        async with _calling(on_disconnect) as done:
            ending = asyncio.create_task(waiter.ended(run_id))
            try:
                while not (await asyncio.wait({ending}, timeout=_HEARTBEAT))[0]:
                    yield "\n"
                yield dumps(result_of(await ending))
                done.set()
            finally:
                ending.cancel()

    path = f"/threads/{thread_id}/runs/{run_id}"
    headers = {"Location": f"{path}/join", "Content-Location": path}
    return StreamingResponse(body(), media_type="application/json", headers=headers)


def streaming(
    waiter: RunWaiter,
    run_id: UUID,
    thread_id: UUID,
    after: int,
    on_disconnect: OnDisconnect = None,
    modes: Sequence[str] = (),
) -> StreamingResponse:
    """Answer with a run's events as they happen.

    Args:
        waiter: waits for the run's events.
        run_id: the run.
        thread_id: the thread.
        after: the number of the last event that the client has.
        on_disconnect: called when the client disconnects; None for nothing.
        modes: only events of these stream modes; of all if empty.
    """

    async def body() -> AsyncIterator[str]:
        async with _calling(on_disconnect) as done:
            async for event in _with_heartbeats(waiter, run_id, after, modes):
                yield event
            done.set()

    path = f"/threads/{thread_id}/runs/{run_id}"
    headers = {
        "Location": f"{path}/stream",
        "Content-Location": path,
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
    }
    return StreamingResponse(body(), media_type="text/event-stream", headers=headers)


async def _with_heartbeats(
    waiter: RunWaiter, run_id: UUID, after: int, modes: Sequence[str]
) -> AsyncIterator[str]:
    last = after
    events = waiter.events(run_id, after)
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
            if _is_of(event.event, modes):
                yield _event(event.event, event.data, last)
            coming = asyncio.create_task(anext(events, None))
    finally:
        coming.cancel()
    run = await waiter.ended(run_id)
    if run is not None and run.failure:
        last += 1
        yield _event("error", dumps(run.failure), last)
    yield _event("end", "null", last + 1)


def _is_of(event: str, modes: Sequence[str]) -> bool:
    """Return whether an event belongs to one of some stream modes; any does if there are none."""
    mode = event.partition("/")[0]
    return not modes or mode in modes or (mode == "messages" and "messages-tuple" in modes)


def _event(name: str, data: str, number: int) -> str:
    return f"event: {name}\r\ndata: {data}\r\nid: {number}\r\n\r\n"


@contextlib.asynccontextmanager
async def _calling(on_disconnect: OnDisconnect) -> AsyncIterator[asyncio.Event]:
    """Yield an event to be set at the end of the answer; without it `on_disconnect` is called."""
    done = asyncio.Event()
    try:
        yield done
    finally:
        if on_disconnect is not None and not done.is_set():
            with contextlib.suppress(DatabaseError):
                await asyncio.shield(on_disconnect())


def set_next_page(response: Response, page: Page[Any], following: object) -> None:
    """Set the header with the start of the next page, if there is one.

    Args:
        response: the response whose headers are set.
        page: the page that was read.
        following: `offset` or `before` of the next request.
    """
    if page.more:
        response.headers["X-Pagination-Next"] = str(following)


def result_of(run: Run | None) -> dict[str, Any]:
    """Return a run's result as `wait` and `join` answer it; empty if it was rolled back."""
    if run is None:
        return {}
    if run.failure:
        return {"run_id": str(run.id), "__error__": run.failure}
    return {"run_id": str(run.id), **(run.output or {})}
