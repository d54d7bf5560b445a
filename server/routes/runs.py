"""Runs: create one and wait, read the log, say what you think of one."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from db import runs
from db.runs import Outcome
from server.errors import UnknownAssistantError, documented
from server.execution import Failed, Finished
from server.routes.given import GivenConnection, GivenService
from server.wire.requests import RunBody
from server.wire.runs import (
    FailedAnswer,
    FeedbackAnswer,
    FeedbackBody,
    ResultAnswer,
    RunAnswer,
    RunDetail,
    RunFailure,
)

router = APIRouter(tags=["runs"])

RunId = Annotated[UUID, Path(description="The run")]


@router.post("/runs/wait", responses=documented(404, 422))
async def create_run_and_wait(
    body: RunBody, service: GivenService, response: Response
) -> ResultAnswer | FailedAnswer:
    """Run the agent and answer with its result: the code and its verdict, or why there is none."""
    if body.assistant_id != "agent":
        raise UnknownAssistantError(body.assistant_id)
    finished = await service.run(body.input.input())
    response.headers["Content-Location"] = f"/threads/{finished.thread_id}/runs/{finished.run_id}"
    return _answer(finished)


def _answer(finished: Finished) -> ResultAnswer | FailedAnswer:
    result = finished.result
    if isinstance(result, Failed):
        failure = RunFailure(error=result.error_class, message=result.message)
        return FailedAnswer(run_id=finished.run_id, error=failure)
    return ResultAnswer.model_validate({"run_id": finished.run_id, **result})


@router.get("/runs", responses=documented(422))
async def list_runs(
    connection: GivenConnection,
    limit: Annotated[int, Query(ge=1, le=500, description="How many at most")] = 50,
    outcome: Annotated[Outcome | None, Query(description="Only runs of this class")] = None,
    before: Annotated[
        datetime | None, Query(description="Only older ones: the last one's created_at")
    ] = None,
) -> list[RunAnswer]:
    """List the run log, newest first."""
    rows = await runs.recent(connection, limit=limit, outcome=outcome, before=before)
    return [RunAnswer.model_validate(row) for row in rows]


@router.get("/runs/{run_id}", responses=documented(404, 422))
async def get_run(run_id: RunId, connection: GivenConnection) -> RunDetail:
    """Show one run with its verdict and what people said of it."""
    detail = RunDetail.model_validate(await runs.get(connection, run_id))
    said = await runs.feedback(connection, run_id)
    detail.feedback = [FeedbackAnswer.model_validate(each) for each in said]
    return detail


@router.post("/runs/{run_id}/feedback", status_code=201, responses=documented(404, 422))
async def add_feedback(
    run_id: RunId, body: FeedbackBody, connection: GivenConnection
) -> FeedbackAnswer:
    """Say what you think of a run."""
    row = await runs.add_feedback(connection, run_id, score=body.as_score(), comment=body.comment)
    return FeedbackAnswer.model_validate(row)
