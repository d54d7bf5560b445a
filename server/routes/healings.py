"""Healings: read their receipts, and ask for one."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request

from db import healings
from optimizer.state import Trigger
from server.auth import ADMIN
from server.errors import documented
from server.routes.given import GivenConnection
from server.routes.strict import StrictRoute
from server.scheduler import Scheduler
from server.wire.healings import HealBody, HealingAnswer, HealingDetail, PassAnswer

router = APIRouter(tags=["healings"], route_class=StrictRoute)


@router.get("/healings", dependencies=[ADMIN], responses=documented(401, 403, 422))
async def list_healings(
    connection: GivenConnection,
    limit: Annotated[int, Query(ge=1, le=500, description="How many at most")] = 50,
) -> list[HealingAnswer]:
    """List healings, newest first."""
    rows = await healings.recent(connection, limit)
    return [HealingAnswer.model_validate(row) for row in rows]


@router.get(
    "/healings/{healing_id}", dependencies=[ADMIN], responses=documented(401, 403, 404, 422)
)
async def get_healing(
    healing_id: Annotated[UUID, Path(description="The healing")], connection: GivenConnection
) -> HealingDetail:
    """Show one healing with its receipt."""
    return HealingDetail.model_validate(await healings.get(connection, healing_id))


@router.post(
    "/healings",
    status_code=202,
    dependencies=[ADMIN],
    responses=documented(401, 403, 413, 422),
)
async def ask_for_healing(body: HealBody, request: Request) -> PassAnswer:
    """Ask for a pass. Answers as soon as its healing is open, or it ended without one."""
    scheduler: Scheduler = request.app.state.scheduler
    trigger = Trigger(trigger="request", forced=body.force)
    if body.agent:
        trigger["agent"] = body.agent
    return PassAnswer.model_validate(await scheduler.ask(trigger))
