"""Runs: create them without a thread, read the log, give feedback."""

import asyncio
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query, Response
from starlette.responses import StreamingResponse

from selfheal.db import runs
from selfheal.db.runs import Outcome
from selfheal.server.api.errors import documented
from selfheal.server.api.routing import (
    ConnectionDep,
    IdempotencyKey,
    ServiceDep,
    StrictRoute,
    check_quota,
    run_request,
)
from selfheal.server.api.schemas.create import BatchedRun, CancelBody, RunCreate
from selfheal.server.api.schemas.runs import (
    FailedAnswer,
    FeedbackAnswer,
    FeedbackBody,
    ResultAnswer,
    RunAnswer,
    RunDetail,
    RunWire,
)
from selfheal.server.api.streaming import set_next_page, streaming, waiting
from selfheal.server.auth.admission import Reader, Writer
from selfheal.server.auth.limits import NOTE_BYTES

router = APIRouter(tags=["runs"], route_class=StrictRoute)

RunId = Annotated[UUID, Path(description="The run")]
_CREATING = (401, 403, 404, 413, 422, 429, 507)
_MOST_RUNS = 100


@router.post("/runs", responses=documented(*_CREATING))
async def create_run(
    body: RunCreate,
    caller: Writer,
    service: ServiceDep,
    response: Response,
    key: IdempotencyKey = None,
) -> RunWire:
    """Create a run and answer at once."""
    (run,) = await service.submitter.submit(run_request(body, caller, key=key))
    response.headers["Content-Location"] = f"/threads/{run.thread_id}/runs/{run.run_id}"
    return RunWire.of(await service.get_run(run.run_id, caller.tenant))


@router.post(
    "/runs/wait", responses=documented(*_CREATING), response_model=ResultAnswer | FailedAnswer
)
async def create_run_and_wait(
    body: RunCreate, caller: Writer, service: ServiceDep, key: IdempotencyKey = None
) -> StreamingResponse:
    """Run a graph and answer with its result: the code and its verdict, or why there is none."""
    request = run_request(body, caller, key=key, streamed=False)
    (run,) = await service.submitter.submit(request)
    return waiting(service.waiter, *run, service.on_disconnect(body.on_disconnect, run.run_id))


@router.post(
    "/runs/stream",
    responses=documented(*_CREATING, stream=True),
    response_class=StreamingResponse,
)
async def create_run_and_stream(
    body: RunCreate, caller: Writer, service: ServiceDep, key: IdempotencyKey = None
) -> StreamingResponse:
    """Run a graph and answer with its events as they happen."""
    (run,) = await service.submitter.submit(run_request(body, caller, key=key))
    on_disconnect = service.on_disconnect(body.on_disconnect, run.run_id)
    return streaming(service.waiter, *run, after=0, on_disconnect=on_disconnect)


@router.post("/runs/batch", responses=documented(*_CREATING))
async def create_runs(
    body: Annotated[list[BatchedRun], Body(min_length=1, max_length=_MOST_RUNS)],
    caller: Writer,
    service: ServiceDep,
) -> list[RunWire]:
    """Create several runs, all or none."""
    # The examples of one take some milliseconds to parse, those of a hundred a second.
    requests = [await asyncio.to_thread(run_request, each, caller) for each in body]
    submitted = await service.submitter.submit(*requests)
    return [RunWire.of(await service.get_run(each.run_id, caller.tenant)) for each in submitted]


@router.post(
    "/runs/cancel",
    status_code=204,
    responses=documented(401, 403, 404, 413, 422),
    response_model=None,
)
async def cancel_runs(
    body: CancelBody,
    caller: Writer,
    service: ServiceDep,
    action: Annotated[
        Literal["interrupt", "rollback"],
        Query(description="`interrupt` keeps the runs and their states, `rollback` deletes them"),
    ] = "interrupt",
) -> None:
    """Cancel several runs of the tenant: by their ids, or all with a status."""
    async with service.database.connection() as connection:
        if body.status:
            found = await runs.live(connection, caller.tenant, body.status)
        else:
            found = await runs.refs(connection, caller.tenant, body.run_ids or ())
    for run in found:
        if body.thread_id in (None, run.thread_id):
            await service.submitter.cancel(run.id, action)


@router.get("/runs", responses=documented(401, 403, 422))
async def list_runs(
    caller: Reader,
    connection: ConnectionDep,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=500, description="Maximum number to return")] = 50,
    outcome: Annotated[Outcome | None, Query(description="Only runs with this outcome")] = None,
    before: Annotated[
        datetime | None, Query(description="Only runs before this created_at")
    ] = None,
) -> list[RunAnswer]:
    """List the tenant's runs, newest first."""
    found = await runs.listed(
        connection, caller.tenant, limit=limit, outcome=outcome, before=before
    )
    set_next_page(response, found, found.rows and found.rows[-1].created_at.isoformat())
    return [RunAnswer.model_validate(row) for row in found.rows]


@router.get("/runs/{run_id}", responses=documented(401, 403, 404, 422))
async def get_run(
    run_id: RunId, caller: Reader, connection: ConnectionDep, service: ServiceDep
) -> RunDetail:
    """Show a run with its verdict and the feedback on it."""
    run = await runs.get(connection, run_id, caller.tenant)
    detail = RunDetail.model_validate(run)
    if run.assistant == "agent":
        detail.trace_url = service.langsmith.trace_url(run_id)
    feedback = await runs.feedback(connection, run_id)
    detail.feedback = [FeedbackAnswer.model_validate(each) for each in feedback]
    return detail


@router.post(
    "/runs/{run_id}/feedback",
    status_code=201,
    dependencies=[check_quota(NOTE_BYTES)],
    responses=documented(401, 403, 404, 413, 422, 507),
)
async def add_feedback(
    run_id: RunId,
    body: FeedbackBody,
    caller: Writer,
    connection: ConnectionDep,
    service: ServiceDep,
) -> FeedbackAnswer:
    """Give feedback on a run."""
    await runs.get(connection, run_id, caller.tenant)
    row = await runs.add_feedback(connection, run_id, score=body.as_score(), comment=body.comment)
    service.langsmith.send_feedback(row)
    return FeedbackAnswer.model_validate(row)
