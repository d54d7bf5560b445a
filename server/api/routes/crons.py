"""Crons: runs by a schedule."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Response
from fastapi.exceptions import RequestValidationError
from langsmith import uuid7
from pydantic import ValidationError

from selfheal.db import crons, threads
from selfheal.db.crons import Cron, CronFilter, CronPlan
from selfheal.db.pool import Connection
from selfheal.server.api.errors import ResourceStateError, documented
from selfheal.server.api.routing import (
    ConnectionDep,
    ServiceDep,
    StrictRoute,
    check_quota,
    run_request,
)
from selfheal.server.api.schemas.base import selected
from selfheal.server.api.schemas.crons import (
    CronAnswer,
    CronCount,
    CronCreate,
    CronPatch,
    CronSearch,
)
from selfheal.server.api.streaming import set_next_page
from selfheal.server.assistants import find_assistant
from selfheal.server.auth.admission import Caller, Reader, Writer
from selfheal.server.auth.limits import RUN_BYTES
from selfheal.server.cron_schedule import next_run_at
from selfheal.server.service import Service

router = APIRouter(tags=["crons"], route_class=StrictRoute)

CronId = Annotated[UUID, Path(description="The cron")]
ThreadId = Annotated[UUID, Path(description="The thread")]
_MOST_CRONS = 100  # of a tenant
_CHANGING = (401, 403, 404, 409, 413, 422)


@router.post(
    "/runs/crons", dependencies=[check_quota(RUN_BYTES)], responses=documented(*_CHANGING, 507)
)
async def create_cron(body: CronCreate, caller: Writer, service: ServiceDep) -> CronAnswer:
    """Create a cron whose runs each have a thread of their own."""
    return CronAnswer.of(await _create(service, caller, body, None))


@router.post(
    "/threads/{thread_id}/runs/crons",
    dependencies=[check_quota(RUN_BYTES)],
    responses=documented(*_CHANGING, 507),
)
async def create_cron_on_thread(
    thread_id: ThreadId, body: CronCreate, caller: Writer, service: ServiceDep
) -> CronAnswer:
    """Create a cron whose runs share a thread."""
    return CronAnswer.of(await _create(service, caller, body, thread_id))


async def _create(
    service: Service, caller: Caller, body: CronCreate, thread_id: UUID | None
) -> Cron:
    async def put(connection: Connection) -> Cron:
        if thread_id:
            await threads.get(connection, thread_id, caller.tenant)
        service.submitter.webhooks.check(body.webhook)
        plan = planned(body, caller, uuid7(), thread_id, await crons.now(connection))
        await _check_count(connection, caller.tenant)
        return await crons.put(connection, plan)

    return await service.database.run(put)


def planned(
    body: CronCreate, caller: Caller, cron_id: UUID, thread_id: UUID | None, now: datetime
) -> CronPlan:
    """Return the cron that a body requests, checked as a run that is submitted now.

    Raises:
        UnknownAssistantError: there is no such graph.
        NotAllowedError: the caller may not run it.
        RequestValidationError: the input does not fit the graph.
    """
    request = run_request(body, caller, thread_id=thread_id)
    return CronPlan(
        id=cron_id,
        tenant=caller.tenant,
        key_id=caller.key_id,
        assistant=request.assistant,
        thread_id=thread_id,
        schedule=body.schedule,
        timezone=body.timezone,
        payload=body.payload(),
        metadata=body.metadata,
        on_run_completed=None if thread_id else body.on_run_completed or "delete",
        enabled=body.enabled,
        end_time=body.end_time,
        next_run_at=next_run_at(body.schedule, body.timezone, now, body.end_time),
    )


async def _check_count(connection: Connection, tenant: str) -> None:
    await crons.lock(connection, tenant)
    if await crons.count(connection, CronFilter(tenant, {})) >= _MOST_CRONS:
        raise ResourceStateError(f"there are {_MOST_CRONS} crons already: delete one first")


@router.post("/runs/crons/search", responses=documented(401, 403, 404, 413, 422))
async def search_crons(
    body: CronSearch, caller: Reader, connection: ConnectionDep, response: Response
) -> list[dict[str, Any]]:
    """List crons, by default newest first."""
    found = await crons.search(
        connection,
        _filter(body, caller),
        sort_by=body.sort_by or "created_at",
        ascending=body.sort_order == "asc",
        limit=body.limit,
        offset=body.offset,
    )
    set_next_page(response, found, body.offset + len(found.rows))
    return [selected(CronAnswer.of(each), body.select) for each in found.rows]


@router.post("/runs/crons/count", responses=documented(401, 403, 404, 413, 422))
async def count_crons(body: CronCount, caller: Reader, connection: ConnectionDep) -> int:
    """Count crons."""
    return await crons.count(connection, _filter(body, caller))


@router.get("/runs/crons/{cron_id}", responses=documented(401, 403, 404, 422))
async def get_cron(cron_id: CronId, caller: Reader, connection: ConnectionDep) -> CronAnswer:
    """Show a cron."""
    return CronAnswer.of(await crons.get(connection, cron_id, caller.tenant))


@router.patch(
    "/runs/crons/{cron_id}",
    dependencies=[check_quota(RUN_BYTES)],
    responses=documented(401, 403, 404, 413, 422, 507),
)
async def patch_cron(
    cron_id: CronId,
    body: CronPatch,
    caller: Writer,
    service: ServiceDep,
    connection: ConnectionDep,
) -> CronAnswer:
    """Update a cron. Future runs are authorised by the key used for this update."""
    cron = await crons.get(connection, cron_id, caller.tenant)
    changed = _changed(body, cron)
    service.submitter.webhooks.check(changed.webhook)
    plan = planned(changed, caller, cron_id, cron.thread_id, await crons.now(connection))
    return CronAnswer.of(await crons.put(connection, plan))


def _changed(body: CronPatch, cron: Cron) -> CronCreate:
    try:
        return body.applied_to(cron)
    except ValidationError as error:
        found = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(found) from None


@router.delete(
    "/runs/crons/{cron_id}",
    status_code=204,
    responses=documented(401, 403, 404, 422),
    response_model=None,
)
async def delete_cron(cron_id: CronId, caller: Writer, connection: ConnectionDep) -> None:
    """Delete a cron; its runs are kept."""
    await crons.delete(connection, cron_id, caller.tenant)


def _filter(body: CronCount, caller: Caller) -> CronFilter:
    assistant = None if body.assistant_id is None else find_assistant(body.assistant_id).name
    return CronFilter(caller.tenant, body.metadata or {}, assistant, body.thread_id, body.enabled)
