"""Runs on threads, as LangGraph's wire has them."""

import re
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import AfterValidator, BeforeValidator
from starlette.responses import StreamingResponse

from selfheal.db import run_events, runs, threads
from selfheal.db.runs import Run, Status
from selfheal.server.api.dependencies import GivenConnection, GivenService
from selfheal.server.api.errors import StillLiveError, documented
from selfheal.server.api.schemas.base import Names, fields_of, selected
from selfheal.server.api.schemas.create import RunCreate
from selfheal.server.api.schemas.langgraph import RunWire
from selfheal.server.api.schemas.runs import FailedAnswer, ResultAnswer
from selfheal.server.api.streaming import streaming, tell_next, waiting
from selfheal.server.api.strict_json import StrictRoute
from selfheal.server.auth.api_keys import Caller, Reader, Writer
from selfheal.server.execution.requests import IdempotencyKey, asked_for
from selfheal.server.run_request import StreamMode
from selfheal.server.service import Gone, Service

router = APIRouter(tags=["runs on threads"], route_class=StrictRoute)

ThreadId = Annotated[UUID, Path(description="The thread")]
RunId = Annotated[UUID, Path(description="The run")]
Action = Annotated[
    Literal["interrupt", "rollback"], Query(description="Keep what it did, or undo it")
]
LastEventId = Annotated[
    str | None, Header(alias="Last-Event-ID", max_length=40, description="Only what came after it")
]
_NUMBER = re.compile(r"-?[0-9]{1,18}")  # `isdigit` has it of more than `int` takes
RunFields = Annotated[
    Names | None,
    AfterValidator(fields_of(RunWire)),
    Query(description="Only these fields"),
]
JoinedModes = Annotated[
    list[StreamMode],
    BeforeValidator(lambda given: [each for each in given if each]),  # httpx sends None as ""
    Query(max_length=20, description="Only these, of those that the run streams; all if none"),
]
_ASKING = (401, 403, 404, 409, 413, 422, 429, 507)


@router.post("/threads/{thread_id}/runs", responses=documented(*_ASKING))
async def create_run(
    thread_id: ThreadId,
    body: RunCreate,
    caller: Writer,
    service: GivenService,
    response: Response,
    key: IdempotencyKey = None,
) -> RunWire:
    """Take a run in and answer at once."""
    (taken,) = await service.intake.accept(asked_for(body, caller, thread_id=thread_id, key=key))
    response.headers["Content-Location"] = f"/threads/{taken.thread_id}/runs/{taken.run_id}"
    return RunWire.of(await service.run(taken.run_id, caller.tenant))


@router.post(
    "/threads/{thread_id}/runs/wait",
    responses=documented(*_ASKING),
    response_model=ResultAnswer | FailedAnswer,
)
async def wait_for_run(
    thread_id: ThreadId,
    body: RunCreate,
    caller: Writer,
    service: GivenService,
    key: IdempotencyKey = None,
) -> StreamingResponse:
    """Run a graph on a thread and answer with its result."""
    asked = asked_for(body, caller, thread_id=thread_id, key=key, streamed=False)
    (taken,) = await service.intake.accept(asked)
    return waiting(service.follower, *taken, service.gone(body.on_disconnect, taken.run_id))


@router.post(
    "/threads/{thread_id}/runs/stream",
    responses=documented(*_ASKING, stream=True),
    response_class=StreamingResponse,
)
async def stream_run(
    thread_id: ThreadId,
    body: RunCreate,
    caller: Writer,
    service: GivenService,
    key: IdempotencyKey = None,
) -> StreamingResponse:
    """Run a graph on a thread and answer with its events as they happen."""
    asked = asked_for(body, caller, thread_id=thread_id, key=key)
    (taken,) = await service.intake.accept(asked)
    gone = service.gone(body.on_disconnect, taken.run_id)
    return streaming(service.follower, *taken, after=0, gone=gone)


@router.get("/threads/{thread_id}/runs", responses=documented(401, 403, 404, 422))
async def list_runs(
    thread_id: ThreadId,
    caller: Reader,
    connection: GivenConnection,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most")] = 10,
    offset: Annotated[int, Query(ge=0, le=2**31, description="How many to pass over")] = 0,
    status: Annotated[Status | None, Query(description="Only those in this status")] = None,
    select: RunFields = None,
) -> list[dict[str, Any]]:
    """List a thread's runs, newest first."""
    await threads.get(connection, thread_id, caller.tenant)
    wanted = {"limit": limit, "offset": offset}
    found = await runs.of_thread(connection, thread_id, caller.tenant, status=status, **wanted)
    tell_next(response, found, offset + len(found.rows))
    return [selected(RunWire.of(row), select) for row in found.rows]


@router.get("/threads/{thread_id}/runs/{run_id}", responses=documented(401, 403, 404, 422))
async def get_run(
    thread_id: ThreadId, run_id: RunId, caller: Reader, service: GivenService
) -> RunWire:
    """Show a run."""
    return RunWire.of(await service.run(run_id, caller.tenant, thread_id))


@router.get(
    "/threads/{thread_id}/runs/{run_id}/join",
    responses=documented(401, 403, 404, 422),
    response_model=ResultAnswer | FailedAnswer,
)
async def join_run(
    thread_id: ThreadId,
    run_id: RunId,
    caller: Reader,
    service: GivenService,
    cancel_on_disconnect: Annotated[bool, Query(description="Cancel it if you go away")] = False,
) -> StreamingResponse:
    """Wait for a run's result."""
    run = await service.run(run_id, caller.tenant, thread_id)
    return waiting(
        service.follower, run_id, thread_id, _gone(caller, service, run, cancel_on_disconnect)
    )


@router.get(
    "/threads/{thread_id}/runs/{run_id}/stream",
    responses=documented(401, 403, 404, 422, stream=True),
    response_class=StreamingResponse,
)
async def join_stream(
    thread_id: ThreadId,
    run_id: RunId,
    caller: Reader,
    service: GivenService,
    last_event_id: LastEventId = None,
    stream_mode: JoinedModes = [],  # noqa: B006 - FastAPI copies it
    cancel_on_disconnect: Annotated[bool, Query(description="Cancel it if you go away")] = False,
) -> StreamingResponse:
    """Follow a run's events: after Last-Event-ID, or all if it is resumable, or from now on."""
    run = await service.run(run_id, caller.tenant, thread_id)
    if last_event_id is not None and _NUMBER.fullmatch(last_event_id):
        after = max(0, int(last_event_id))
    elif run.kwargs.get("stream_resumable"):
        after = 0
    else:
        async with service.database.connection() as connection:
            after = await run_events.last(connection, run_id)
    gone = _gone(caller, service, run, cancel_on_disconnect)
    return streaming(service.follower, run_id, thread_id, after, gone, only=stream_mode)


def _gone(caller: Caller, service: Service, run: Run, cancel: bool) -> Gone:
    if cancel:
        caller.require("runs:write")
    return service.gone("cancel" if cancel else "continue", run.id)


@router.post(
    "/threads/{thread_id}/runs/{run_id}/cancel",
    status_code=202,
    responses=documented(401, 403, 404, 422)
    | {
        200: {"model": ResultAnswer | FailedAnswer, "description": "It has ended, with this"},
        202: {"description": "It will end"},
    },
    response_model=None,
)
async def cancel_run(
    thread_id: ThreadId,
    run_id: RunId,
    caller: Writer,
    service: GivenService,
    action: Action = "interrupt",
    wait: Annotated[bool, Query(description="Answer when it has ended")] = False,
) -> Response:
    """Cancel a run; no effect on one that has ended.

    Answered with 200 once it has ended if `wait` is true, else at once with 202, whose body
    clients do not read.
    """
    run = await service.run(run_id, caller.tenant, thread_id)
    await service.intake.cancel(run.id, action)
    if wait:
        return waiting(service.follower, run_id, thread_id)
    return Response(status_code=202)


@router.delete(
    "/threads/{thread_id}/runs/{run_id}",
    status_code=204,
    responses=documented(401, 403, 404, 409, 422),
    response_model=None,
)
async def delete_run(
    thread_id: ThreadId, run_id: RunId, caller: Writer, service: GivenService
) -> None:
    """Delete a run that has ended, with its verdict and what people said of it."""
    run = await service.run(run_id, caller.tenant, thread_id)
    if run.finished_at is None:
        raise StillLiveError(f"run {run_id} has not ended: cancel it first")
    await service.database.run(lambda connection: runs.delete(connection, run_id))
