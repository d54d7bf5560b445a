"""Runs: ask for one without a thread, read the log, say what you think of one."""

import asyncio
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query, Response
from starlette.responses import StreamingResponse

from selfheal.db import runs
from selfheal.db.runs import Outcome
from selfheal.server.api.dependencies import GivenConnection, GivenService, storing
from selfheal.server.api.errors import documented
from selfheal.server.api.schemas.create import BatchedRun, CancelBody, RunCreate
from selfheal.server.api.schemas.langgraph import RunWire
from selfheal.server.api.schemas.runs import (
    FailedAnswer,
    FeedbackAnswer,
    FeedbackBody,
    ResultAnswer,
    RunAnswer,
    RunDetail,
)
from selfheal.server.api.streaming import streaming, tell_next, waiting
from selfheal.server.api.strict_json import StrictRoute
from selfheal.server.auth.api_keys import Reader, Writer
from selfheal.server.auth.storage_quota import A_NOTE
from selfheal.server.execution.requests import IdempotencyKey, asked_for

router = APIRouter(tags=["runs"], route_class=StrictRoute)

RunId = Annotated[UUID, Path(description="The run")]
_ASKING = (401, 403, 404, 413, 422, 429, 507)
_MOST_AT_ONCE = 100


@router.post("/runs", responses=documented(*_ASKING))
async def create_run(
    body: RunCreate,
    caller: Writer,
    service: GivenService,
    response: Response,
    key: IdempotencyKey = None,
) -> RunWire:
    """Take a run in and answer at once."""
    (taken,) = await service.intake.accept(asked_for(body, caller, key=key))
    response.headers["Content-Location"] = f"/threads/{taken.thread_id}/runs/{taken.run_id}"
    return RunWire.of(await service.run(taken.run_id, caller.tenant))


@router.post(
    "/runs/wait", responses=documented(*_ASKING), response_model=ResultAnswer | FailedAnswer
)
async def create_run_and_wait(
    body: RunCreate, caller: Writer, service: GivenService, key: IdempotencyKey = None
) -> StreamingResponse:
    """Run a graph and answer with its result: the code and its verdict, or why there is none."""
    (taken,) = await service.intake.accept(asked_for(body, caller, key=key, streamed=False))
    return waiting(service.follower, *taken, service.gone(body.on_disconnect, taken.run_id))


@router.post(
    "/runs/stream",
    responses=documented(*_ASKING, stream=True),
    response_class=StreamingResponse,
)
async def create_run_and_stream(
    body: RunCreate, caller: Writer, service: GivenService, key: IdempotencyKey = None
) -> StreamingResponse:
    """Run a graph and answer with its events as they happen."""
    (taken,) = await service.intake.accept(asked_for(body, caller, key=key))
    gone = service.gone(body.on_disconnect, taken.run_id)
    return streaming(service.follower, *taken, after=0, gone=gone)


@router.post("/runs/batch", responses=documented(*_ASKING))
async def create_runs(
    body: Annotated[list[BatchedRun], Body(min_length=1, max_length=_MOST_AT_ONCE)],
    caller: Writer,
    service: GivenService,
) -> list[RunWire]:
    """Take several runs in, all or none."""
    # The examples of one take some milliseconds to parse, those of a hundred a second.
    asked = [await asyncio.to_thread(asked_for, each, caller) for each in body]
    taken = await service.intake.accept(*asked)
    return [RunWire.of(await service.run(each.run_id, caller.tenant)) for each in taken]


@router.post(
    "/runs/cancel",
    status_code=204,
    responses=documented(401, 403, 404, 413, 422),
    response_model=None,
)
async def cancel_runs(
    body: CancelBody,
    caller: Writer,
    service: GivenService,
    action: Annotated[
        Literal["interrupt", "rollback"], Query(description="Keep what they did, or undo it")
    ] = "interrupt",
) -> None:
    """Cancel several runs: some of a thread, or all of yours in a status."""
    async with service.database.connection() as connection:
        if body.status:
            found = await runs.live(connection, caller.tenant, body.status)
        else:
            found = await runs.places(connection, caller.tenant, body.run_ids or ())
    for run in found:
        if body.thread_id in (None, run.thread_id):
            await service.intake.cancel(run.id, action)


@router.get("/runs", responses=documented(401, 403, 422))
async def list_runs(
    caller: Reader,
    connection: GivenConnection,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=500, description="How many at most")] = 50,
    outcome: Annotated[Outcome | None, Query(description="Only runs with this outcome")] = None,
    before: Annotated[
        datetime | None, Query(description="Only older ones: the last one's created_at")
    ] = None,
) -> list[RunAnswer]:
    """List your runs, newest first."""
    found = await runs.listed(
        connection, caller.tenant, limit=limit, outcome=outcome, before=before
    )
    tell_next(response, found, found.rows and found.rows[-1].created_at.isoformat())
    return [RunAnswer.model_validate(row) for row in found.rows]


@router.get("/runs/{run_id}", responses=documented(401, 403, 404, 422))
async def get_run(
    run_id: RunId, caller: Reader, connection: GivenConnection, service: GivenService
) -> RunDetail:
    """Show one run with its verdict and what people said of it."""
    run = await runs.get(connection, run_id, caller.tenant)
    detail = RunDetail.model_validate(run)
    if run.assistant == "agent":
        detail.trace_url = service.traces.address(run_id)
    said = await runs.feedback(connection, run_id)
    detail.feedback = [FeedbackAnswer.model_validate(each) for each in said]
    return detail


@router.post(
    "/runs/{run_id}/feedback",
    status_code=201,
    dependencies=[storing(A_NOTE)],
    responses=documented(401, 403, 404, 413, 422, 507),
)
async def add_feedback(
    run_id: RunId,
    body: FeedbackBody,
    caller: Writer,
    connection: GivenConnection,
    service: GivenService,
) -> FeedbackAnswer:
    """Say what you think of a run."""
    await runs.get(connection, run_id, caller.tenant)
    row = await runs.add_feedback(connection, run_id, score=body.as_score(), comment=body.comment)
    service.traces.said(row)
    return FeedbackAnswer.model_validate(row)
