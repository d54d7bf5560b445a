"""Crons: runs that come again and again, as LangGraph's wire has them."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Response
from fastapi.exceptions import RequestValidationError
from langsmith import uuid7
from pydantic import ValidationError

from selfheal.db import crons, threads
from selfheal.db.crons import Cron, Wanted
from selfheal.db.pool import Connection
from selfheal.server.api.assistants import named
from selfheal.server.api.dependencies import GivenConnection, GivenService, storing
from selfheal.server.api.errors import StillLiveError, documented
from selfheal.server.api.schemas.base import selected
from selfheal.server.api.schemas.crons import (
    CronAnswer,
    CronCount,
    CronCreate,
    CronPatch,
    CronSearch,
)
from selfheal.server.api.streaming import tell_next
from selfheal.server.api.strict_json import StrictRoute
from selfheal.server.auth.api_keys import Caller, Reader, Writer
from selfheal.server.auth.storage_quota import A_RUN
from selfheal.server.execution.cron_runs import planned
from selfheal.server.service import Service

router = APIRouter(tags=["crons"], route_class=StrictRoute)

CronId = Annotated[UUID, Path(description="The cron")]
ThreadId = Annotated[UUID, Path(description="The thread")]
_MOST = 100  # crons of a tenant
_CHANGING = (401, 403, 404, 409, 413, 422)


@router.post("/runs/crons", dependencies=[storing(A_RUN)], responses=documented(*_CHANGING, 507))
async def create_cron(body: CronCreate, caller: Writer, service: GivenService) -> CronAnswer:
    """Have a run come by a schedule, each time on a thread of its own."""
    return CronAnswer.of(await _create(service, caller, body, None))


@router.post(
    "/threads/{thread_id}/runs/crons",
    dependencies=[storing(A_RUN)],
    responses=documented(*_CHANGING, 507),
)
async def create_cron_on_thread(
    thread_id: ThreadId, body: CronCreate, caller: Writer, service: GivenService
) -> CronAnswer:
    """Have a run come by a schedule, on a thread."""
    return CronAnswer.of(await _create(service, caller, body, thread_id))


async def _create(
    service: Service, caller: Caller, body: CronCreate, thread_id: UUID | None
) -> Cron:
    async def put(connection: Connection) -> Cron:
        if thread_id:
            await threads.get(connection, thread_id, caller.tenant)
        service.intake.webhooks.check(body.webhook)
        plan = planned(body, caller, uuid7(), thread_id, await crons.now(connection))
        await _make_room(connection, caller.tenant)
        return await crons.put(connection, plan)

    return await service.database.run(put)


async def _make_room(connection: Connection, tenant: str) -> None:
    await crons.lock(connection, tenant)
    if await crons.count(connection, Wanted(tenant, {})) >= _MOST:
        raise StillLiveError(f"there are {_MOST} crons already: delete one first")


@router.post("/runs/crons/search", responses=documented(401, 403, 404, 413, 422))
async def search_crons(
    body: CronSearch, caller: Reader, connection: GivenConnection, response: Response
) -> list[dict[str, Any]]:
    """List crons, newest first unless asked otherwise."""
    found = await crons.search(
        connection,
        _wanted(body, caller),
        sort_by=body.sort_by or "created_at",
        ascending=body.sort_order == "asc",
        limit=body.limit,
        offset=body.offset,
    )
    tell_next(response, found, body.offset + len(found.rows))
    return [selected(CronAnswer.of(each), body.select) for each in found.rows]


@router.post("/runs/crons/count", responses=documented(401, 403, 404, 413, 422))
async def count_crons(body: CronCount, caller: Reader, connection: GivenConnection) -> int:
    """Count crons."""
    return await crons.count(connection, _wanted(body, caller))


@router.get("/runs/crons/{cron_id}", responses=documented(401, 403, 404, 422))
async def get_cron(cron_id: CronId, caller: Reader, connection: GivenConnection) -> CronAnswer:
    """Show a cron."""
    return CronAnswer.of(await crons.get(connection, cron_id, caller.tenant))


@router.patch(
    "/runs/crons/{cron_id}",
    dependencies=[storing(A_RUN)],
    responses=documented(401, 403, 404, 413, 422, 507),
)
async def patch_cron(
    cron_id: CronId,
    body: CronPatch,
    caller: Writer,
    service: GivenService,
    connection: GivenConnection,
) -> CronAnswer:
    """Change a cron. It comes on the word of your key from now on."""
    cron = await crons.get(connection, cron_id, caller.tenant)
    changed = _upon(body, cron)
    service.intake.webhooks.check(changed.webhook)
    plan = planned(changed, caller, cron_id, cron.thread_id, await crons.now(connection))
    return CronAnswer.of(await crons.put(connection, plan))


def _upon(body: CronPatch, cron: Cron) -> CronCreate:
    try:
        return body.upon(cron)
    except ValidationError as error:
        found = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(found) from None


@router.delete(
    "/runs/crons/{cron_id}",
    status_code=204,
    responses=documented(401, 403, 404, 422),
    response_model=None,
)
async def delete_cron(cron_id: CronId, caller: Writer, connection: GivenConnection) -> None:
    """Delete a cron; the runs that it made stay."""
    await crons.delete(connection, cron_id, caller.tenant)


def _wanted(body: CronCount, caller: Caller) -> Wanted:
    assistant = None if body.assistant_id is None else named(body.assistant_id).name
    return Wanted(caller.tenant, body.metadata or {}, assistant, body.thread_id, body.enabled)
