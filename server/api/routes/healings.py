"""Healings: read their receipts, start one, approve or reject one, pause and resume."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request

from selfheal.db import deployment_stats, healings, pauses
from selfheal.db.pool import Connection
from selfheal.db.reasons import because
from selfheal.optimizer.rollout import approval
from selfheal.optimizer.state import Trigger
from selfheal.server.api.errors import documented
from selfheal.server.api.routing import ConnectionDep, ServiceDep, StrictRoute
from selfheal.server.api.schemas.healings import (
    ApproveBody,
    HealBody,
    HealingAnswer,
    HealingDetail,
    LastPassAnswer,
    PassAnswer,
    PauseAnswer,
    PauseBody,
)
from selfheal.server.api.schemas.prompts import ReleaseAnswer
from selfheal.server.auth.admission import ADMIN, Admin, Caller
from selfheal.server.execution.optimizer_runs import OptimizerScheduler

router = APIRouter(tags=["healings"], route_class=StrictRoute)

HealingId = Annotated[UUID, Path(description="The healing")]


@router.get("/healings", dependencies=[ADMIN], responses=documented(401, 403, 422))
async def list_healings(
    connection: ConnectionDep,
    limit: Annotated[int, Query(ge=1, le=500, description="Maximum number to return")] = 50,
) -> list[HealingAnswer]:
    """List healings, newest first."""
    rows = await healings.recent(connection, limit)
    return [HealingAnswer.model_validate(row) for row in rows]


@router.get("/healings/last-pass", dependencies=[ADMIN], responses=documented(401, 403))
async def get_last_pass(connection: ConnectionDep) -> LastPassAnswer:
    """Show the outcome of the last optimizer pass, also if it did nothing, and why."""
    row = await deployment_stats.last_pass(connection)
    return LastPassAnswer.model_validate(row) if row else LastPassAnswer()


@router.get(
    "/healings/{healing_id}", dependencies=[ADMIN], responses=documented(401, 403, 404, 422)
)
async def get_healing(
    healing_id: HealingId, connection: ConnectionDep, service: ServiceDep
) -> HealingDetail:
    """Show one healing with its receipt and follow-ups."""
    detail = HealingDetail.model_validate(await healings.get(connection, healing_id))
    detail.trace_url = service.langsmith.trace_url(healing_id)
    return detail


@router.post(
    "/healings",
    summary="Start Optimizer Pass",
    status_code=202,
    dependencies=[ADMIN],
    responses=documented(401, 403, 413, 422),
)
async def ask_for_healing(body: HealBody, request: Request) -> PassAnswer:
    """Start an optimizer pass. Answers once it has opened a healing, or ended without one."""
    scheduler: OptimizerScheduler = request.app.state.scheduler
    trigger = Trigger(trigger="request", forced=body.force)
    if body.agent:
        trigger["agent"] = body.agent
    return PassAnswer.model_validate(await scheduler.request(trigger))


@router.post("/healings/pause", responses=documented(401, 403, 413, 422))
async def pause(body: PauseBody, caller: Admin, connection: ConnectionDep) -> PauseAnswer:
    """Pause healing. Canary and watch continue, including automatic rollback."""
    return await _set_pause(connection, caller, body, paused=True)


@router.post("/healings/resume", responses=documented(401, 403, 413, 422))
async def resume(body: PauseBody, caller: Admin, connection: ConnectionDep) -> PauseAnswer:
    """Resume healing."""
    return await _set_pause(connection, caller, body, paused=False)


@router.post("/healings/{healing_id}/approve", responses=documented(401, 403, 404, 409, 413, 422))
async def approve(
    healing_id: HealingId,
    body: ApproveBody,
    caller: Admin,
    service: ServiceDep,
    connection: ConnectionDep,
) -> ReleaseAnswer:
    """Release a candidate that waits for approval.

    It is released as a canary if SELFHEAL_ROLLOUT is `canary`, otherwise to all threads. A canary
    that is held is promoted to all threads.
    """
    percent = approval.share(service.settings, at_once=body.at_once)
    row = await approval.approve(
        connection, healing_id, percent=percent, actor=caller.actor, note=body.note
    )
    return ReleaseAnswer.model_validate(row)


@router.post("/healings/{healing_id}/reject", responses=documented(401, 403, 404, 409, 413, 422))
async def reject(healing_id: HealingId, caller: Admin, connection: ConnectionDep) -> HealingAnswer:
    """Reject a candidate that waits for approval, or a canary that is held.

    Its version is kept but not live.
    """
    row = await approval.reject(connection, healing_id, actor=caller.actor)
    return HealingAnswer.model_validate(row)


async def _set_pause(
    connection: Connection, caller: Caller, body: PauseBody, *, paused: bool
) -> PauseAnswer:
    row = await pauses.switch(
        connection, paused=paused, reason=because("note", text=body.reason), actor=caller.actor
    )
    return PauseAnswer.model_validate(row)
