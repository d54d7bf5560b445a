"""Runs on threads."""

import re
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import AfterValidator, BeforeValidator
from starlette.responses import StreamingResponse

from selfheal.db import run_events, runs, threads
from selfheal.db.run_requests import StreamMode
from selfheal.db.runs import Run, Status
from selfheal.server.api.errors import ResourceStateError, documented
from selfheal.server.api.routing import (
    ConnectionDep,
    IdempotencyKey,
    ServiceDep,
    StrictRoute,
    run_request,
)
from selfheal.server.api.schemas.base import FieldNames, fields_of, selected
from selfheal.server.api.schemas.create import RunCreate
from selfheal.server.api.schemas.runs import FailedAnswer, ResultAnswer, RunWire
from selfheal.server.api.streaming import OnDisconnect, set_next_page, streaming, waiting
from selfheal.server.auth.admission import Caller, Reader, Writer
from selfheal.server.service import Service

router = APIRouter(tags=["runs on threads"], route_class=StrictRoute)

ThreadId = Annotated[UUID, Path(description="The thread")]
RunId = Annotated[UUID, Path(description="The run")]
Action = Annotated[
    Literal["interrupt", "rollback"],
    Query(description="`interrupt` keeps the run and its states, `rollback` deletes them"),
]
LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", max_length=40, description="Only events after this one"),
]
_NUMBER = re.compile(r"-?[0-9]{1,18}")  # `isdigit` accepts more than `int` does
RunFields = Annotated[
    FieldNames | None,
    AfterValidator(fields_of(RunWire)),
    Query(description="Return only these fields"),
]
JoinedModes = Annotated[
    list[StreamMode],
    BeforeValidator(lambda given: [each for each in given if each]),  # httpx sends None as ""
    Query(
        max_length=20,
        description="Only events of these modes, if the run streams them; all if none are given",
    ),
]
_CREATING = (401, 403, 404, 409, 413, 422, 429, 507)


@router.post("/threads/{thread_id}/runs", responses=documented(*_CREATING))
async def create_run(
    thread_id: ThreadId,
    body: RunCreate,
    caller: Writer,
    service: ServiceDep,
    response: Response,
    key: IdempotencyKey = None,
) -> RunWire:
    """Create a run and answer at once."""
    request = run_request(body, caller, thread_id=thread_id, key=key)
    (run,) = await service.submitter.submit(request)
    response.headers["Content-Location"] = f"/threads/{run.thread_id}/runs/{run.run_id}"
    return RunWire.of(await service.get_run(run.run_id, caller.tenant))


@router.post(
    "/threads/{thread_id}/runs/wait",
    responses=documented(*_CREATING),
    response_model=ResultAnswer | FailedAnswer,
)
async def wait_for_run(
    thread_id: ThreadId,
    body: RunCreate,
    caller: Writer,
    service: ServiceDep,
    key: IdempotencyKey = None,
) -> StreamingResponse:
    """Run a graph on a thread and answer with its result."""
    request = run_request(body, caller, thread_id=thread_id, key=key, streamed=False)
    (run,) = await service.submitter.submit(request)
    return waiting(service.waiter, *run, service.on_disconnect(body.on_disconnect, run.run_id))


@router.post(
    "/threads/{thread_id}/runs/stream",
    responses=documented(*_CREATING, stream=True),
    response_class=StreamingResponse,
)
async def stream_run(
    thread_id: ThreadId,
    body: RunCreate,
    caller: Writer,
    service: ServiceDep,
    key: IdempotencyKey = None,
) -> StreamingResponse:
    """Run a graph on a thread and answer with its events as they happen."""
    request = run_request(body, caller, thread_id=thread_id, key=key)
    (run,) = await service.submitter.submit(request)
    on_disconnect = service.on_disconnect(body.on_disconnect, run.run_id)
    return streaming(service.waiter, *run, after=0, on_disconnect=on_disconnect)


@router.get("/threads/{thread_id}/runs", responses=documented(401, 403, 404, 422))
async def list_runs(
    thread_id: ThreadId,
    caller: Reader,
    connection: ConnectionDep,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number to return")] = 10,
    offset: Annotated[int, Query(ge=0, le=2**31, description="Number to skip")] = 0,
    status: Annotated[Status | None, Query(description="Only runs with this status")] = None,
    select: RunFields = None,
) -> list[dict[str, Any]]:
    """List a thread's runs, newest first."""
    await threads.get(connection, thread_id, caller.tenant)
    paging = {"limit": limit, "offset": offset}
    found = await runs.of_thread(connection, thread_id, caller.tenant, status=status, **paging)
    set_next_page(response, found, offset + len(found.rows))
    return [selected(RunWire.of(row), select) for row in found.rows]


@router.get("/threads/{thread_id}/runs/{run_id}", responses=documented(401, 403, 404, 422))
async def get_run(
    thread_id: ThreadId, run_id: RunId, caller: Reader, service: ServiceDep
) -> RunWire:
    """Show a run."""
    return RunWire.of(await service.get_run(run_id, caller.tenant, thread_id))


@router.get(
    "/threads/{thread_id}/runs/{run_id}/join",
    responses=documented(401, 403, 404, 422),
    response_model=ResultAnswer | FailedAnswer,
)
async def join_run(
    thread_id: ThreadId,
    run_id: RunId,
    caller: Reader,
    service: ServiceDep,
    cancel_on_disconnect: Annotated[
        bool, Query(description="Cancel the run if the client disconnects")
    ] = False,
) -> StreamingResponse:
    """Wait for a run's result."""
    run = await service.get_run(run_id, caller.tenant, thread_id)
    on_disconnect = _on_disconnect(caller, service, run, cancel_on_disconnect)
    return waiting(service.waiter, run_id, thread_id, on_disconnect)


@router.get(
    "/threads/{thread_id}/runs/{run_id}/stream",
    responses=documented(401, 403, 404, 422, stream=True),
    response_class=StreamingResponse,
)
async def join_stream(
    thread_id: ThreadId,
    run_id: RunId,
    caller: Reader,
    service: ServiceDep,
    last_event_id: LastEventId = None,
    stream_mode: JoinedModes = [],  # noqa: B006 - FastAPI copies it
    cancel_on_disconnect: Annotated[
        bool, Query(description="Cancel the run if the client disconnects")
    ] = False,
) -> StreamingResponse:
    """Stream a run's events: after Last-Event-ID, or all if it is resumable, or new ones only."""
    run = await service.get_run(run_id, caller.tenant, thread_id)
    if last_event_id is not None and _NUMBER.fullmatch(last_event_id):
        after = max(0, int(last_event_id))
    elif run.options.stream_resumable:
        after = 0
    else:
        async with service.database.connection() as connection:
            after = await run_events.last(connection, run_id)
    on_disconnect = _on_disconnect(caller, service, run, cancel_on_disconnect)
    return streaming(service.waiter, run_id, thread_id, after, on_disconnect, stream_mode)


def _on_disconnect(caller: Caller, service: Service, run: Run, cancel: bool) -> OnDisconnect:
    if cancel:
        caller.require("runs:write")
    return service.on_disconnect("cancel" if cancel else "continue", run.id)


@router.post(
    "/threads/{thread_id}/runs/{run_id}/cancel",
    status_code=202,
    responses=documented(401, 403, 404, 422)
    | {
        200: {
            "model": ResultAnswer | FailedAnswer,
            "description": "The run has ended with this result",
        },
        202: {"description": "The run will be cancelled"},
    },
    response_model=None,
)
async def cancel_run(
    thread_id: ThreadId,
    run_id: RunId,
    caller: Writer,
    service: ServiceDep,
    action: Action = "interrupt",
    wait: Annotated[bool, Query(description="Answer when the run has ended")] = False,
) -> Response:
    """Cancel a run; no effect if it has ended.

    Answered at once with 202 and no body, or, if `wait` is true, with 200 when it has ended.
    """
    run = await service.get_run(run_id, caller.tenant, thread_id)
    await service.submitter.cancel(run.id, action)
    if wait:
        return waiting(service.waiter, run_id, thread_id)
    return Response(status_code=202)


@router.delete(
    "/threads/{thread_id}/runs/{run_id}",
    status_code=204,
    responses=documented(401, 403, 404, 409, 422),
    response_model=None,
)
async def delete_run(
    thread_id: ThreadId, run_id: RunId, caller: Writer, service: ServiceDep
) -> None:
    """Delete an ended run with its verdict and the feedback on it."""
    run = await service.get_run(run_id, caller.tenant, thread_id)
    if run.finished_at is None:
        raise ResourceStateError(f"run {run_id} has not ended: cancel it first")
    await service.database.run(lambda connection: runs.delete(connection, run_id))
