"""Threads and their states."""

import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from fastapi.exceptions import RequestValidationError
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langsmith import uuid7

from selfheal.db import claims, threads
from selfheal.db.checkpoints import PoolSaver
from selfheal.db.encoding import clean, storable
from selfheal.db.errors import NotFoundError
from selfheal.db.paging import MOST_BYTES, STEP, Page
from selfheal.db.threads import ThreadFilter
from selfheal.graph.build import AgentGraph
from selfheal.server.api.errors import ResourceStateError, documented
from selfheal.server.api.routing import ConnectionDep, ServiceDep, StrictRoute, check_quota
from selfheal.server.api.schemas.base import (
    StateFields,
    bounded,
    checkpoint_id_of,
    selected,
    selected_of_state,
)
from selfheal.server.api.schemas.threads import (
    HistoryBody,
    StateAt,
    StateUpdate,
    ThreadAnswer,
    ThreadCount,
    ThreadCreate,
    ThreadPatch,
    ThreadSearch,
    state_of,
)
from selfheal.server.api.streaming import set_next_page
from selfheal.server.assistants import graph_of
from selfheal.server.auth.admission import Reader, Writer
from selfheal.server.auth.limits import NOTE_BYTES, RUN_BYTES, UNKNOWN_BYTES
from selfheal.server.serialization import checkpoint_ref, dumps
from selfheal.server.service import Service

router = APIRouter(tags=["threads"], route_class=StrictRoute)

ThreadId = Annotated[UUID, Path(description="The thread")]
Subgraphs = Annotated[bool, Query(description="No effect: there are no subgraphs")]
Select = Annotated[
    StateFields | None,
    Query(description="Return only these fields; `values.KEY` for a key of the values"),
]
_READING = (401, 403, 404, 422)


@router.post(
    "/threads",
    dependencies=[check_quota(NOTE_BYTES)],
    responses=documented(401, 403, 409, 413, 422, 507),
)
async def create_thread(
    body: ThreadCreate, caller: Writer, connection: ConnectionDep
) -> ThreadAnswer:
    """Create a thread."""
    thread_id = body.thread_id or uuid7()
    made = await threads.create(connection, thread_id, caller.tenant, body.metadata or {})
    if made or body.if_exists == "do_nothing":
        with contextlib.suppress(NotFoundError):  # another tenant's, which must not be revealed
            return ThreadAnswer.of(await threads.get(connection, thread_id, caller.tenant))
    raise ResourceStateError(f"there is a thread {thread_id} already")


@router.post("/threads/search", responses=documented(401, 403, 413, 422))
async def search_threads(
    body: ThreadSearch, caller: Reader, connection: ConnectionDep, response: Response
) -> list[dict[str, Any]]:
    """List threads, by default newest first."""
    selection = ThreadFilter(caller.tenant, body.metadata or {}, body.values, body.ids, body.status)
    found = await threads.search(
        connection,
        selection,
        sort_by=body.sort_by or "created_at",
        ascending=body.sort_order == "asc",
        limit=body.limit,
        offset=body.offset,
    )
    set_next_page(response, found, body.offset + len(found.rows))
    return [selected(ThreadAnswer.of(each), body.select) for each in found.rows]


@router.post("/threads/count", responses=documented(401, 403, 413, 422))
async def count_threads(body: ThreadCount, caller: Reader, connection: ConnectionDep) -> int:
    """Count threads."""
    selection = ThreadFilter(caller.tenant, body.metadata or {}, body.values, status=body.status)
    return await threads.count(connection, selection)


@router.get("/threads/{thread_id}", responses=documented(*_READING))
async def get_thread(
    thread_id: ThreadId, caller: Reader, connection: ConnectionDep
) -> ThreadAnswer:
    """Show a thread."""
    return ThreadAnswer.of(await threads.get(connection, thread_id, caller.tenant))


@router.patch(
    "/threads/{thread_id}",
    dependencies=[check_quota(NOTE_BYTES)],
    responses=documented(*_READING, 413, 507),
)
async def patch_thread(
    thread_id: ThreadId, body: ThreadPatch, caller: Writer, connection: ConnectionDep
) -> ThreadAnswer:
    """Update a thread's metadata."""
    await threads.lock(connection, thread_id, caller.tenant)
    before = await threads.get(connection, thread_id, caller.tenant)
    _check_size({**before.metadata, **body.metadata})
    await threads.annotate(connection, thread_id, caller.tenant, body.metadata)
    return ThreadAnswer.of(await threads.get(connection, thread_id, caller.tenant))


def _check_size(metadata: dict[str, Any]) -> None:
    """Check the size of a thread's metadata after an update.

    Raises:
        RequestValidationError: it is too large.
    """
    try:
        bounded(metadata)
    except ValueError as error:
        problem = {"loc": ("body", "metadata"), "msg": f"together with what is stored: {error}"}
        raise RequestValidationError([{**problem, "type": "value_error"}]) from None


@router.delete(
    "/threads/{thread_id}",
    status_code=204,
    responses=documented(*_READING, 409),
    response_model=None,
)
async def delete_thread(thread_id: ThreadId, caller: Writer, connection: ConnectionDep) -> None:
    """Delete a thread with its states and runs."""
    await threads.lock(connection, thread_id, caller.tenant)
    if await claims.live(connection, thread_id):
        raise ResourceStateError(f"thread {thread_id} is busy: cancel its runs first")
    await threads.delete(connection, thread_id, caller.tenant)


@router.post(
    "/threads/{thread_id}/copy",
    dependencies=[check_quota(UNKNOWN_BYTES)],
    responses=documented(*_READING, 507),
)
async def copy_thread(
    thread_id: ThreadId, caller: Writer, connection: ConnectionDep
) -> ThreadAnswer:
    """Copy a thread with its states, without its runs."""
    into = uuid7()
    await threads.copy(connection, thread_id, caller.tenant, into)
    return ThreadAnswer.of(await threads.get(connection, into, caller.tenant))


@router.get("/threads/{thread_id}/state", responses=documented(*_READING))
async def get_state(
    thread_id: ThreadId,
    caller: Reader,
    service: ServiceDep,
    subgraphs: Subgraphs = False,
    select: Select = None,
) -> dict[str, Any]:
    """Show a thread's state."""
    graph = await _graph(service, thread_id, caller.tenant)
    return selected_of_state(state_of(await graph.aget_state(_at(thread_id))), select)


@router.post(
    "/threads/{thread_id}/state/checkpoint",
    summary="Get State At Checkpoint",
    responses=documented(*_READING, 413),
)
async def get_state_at(
    thread_id: ThreadId, body: StateAt, caller: Reader, service: ServiceDep
) -> dict[str, Any]:
    """Show a thread's state at a checkpoint."""
    graph = await _graph(service, thread_id, caller.tenant)
    state = await graph.aget_state(_at(thread_id, body.checkpoint.checkpoint_id))
    return selected_of_state(state_of(state), body.select)


@router.get(
    "/threads/{thread_id}/state/{checkpoint_id}",
    summary="Get State At Checkpoint",
    responses=documented(*_READING),
)
async def get_state_of(
    thread_id: ThreadId,
    checkpoint_id: Annotated[str, Path(max_length=100, description="The checkpoint")],
    caller: Reader,
    service: ServiceDep,
    subgraphs: Subgraphs = False,
    select: Select = None,
) -> dict[str, Any]:
    """Show a thread's state at a checkpoint."""
    graph = await _graph(service, thread_id, caller.tenant)
    state = await graph.aget_state(_at(thread_id, checkpoint_id))
    return selected_of_state(state_of(state), select)


@router.post(
    "/threads/{thread_id}/state",
    dependencies=[check_quota(RUN_BYTES)],
    responses=documented(*_READING, 409, 413, 507),
)
async def update_state(
    thread_id: ThreadId, body: StateUpdate, caller: Writer, connection: ConnectionDep
) -> dict[str, Any]:
    """Write a run's input to a thread's state. Only nodes write the rest."""
    values = body.input_values()
    start = checkpoint_id_of(body.checkpoint_id, body.checkpoint)
    await threads.lock(connection, thread_id, caller.tenant)
    if await claims.live(connection, thread_id):
        raise ResourceStateError(f"thread {thread_id} is busy: wait for its runs, or cancel them")
    graph = graph_of("agent").copy(update={"checkpointer": AsyncPostgresSaver(connection)})
    at = await graph.aupdate_state(_at(thread_id, start), values, as_node="__start__")
    left = state_of(await graph.aget_state(_at(thread_id)))
    await threads.settle(connection, thread_id, "idle", values=left["values"])
    found = checkpoint_ref(at) or {}
    return {"checkpoint": found, "configurable": found, "checkpoint_id": found["checkpoint_id"]}


@router.get("/threads/{thread_id}/history", responses=documented(*_READING))
async def get_history(
    thread_id: ThreadId,
    caller: Reader,
    service: ServiceDep,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number to return")] = 10,
    before: Annotated[
        str | None,
        Query(min_length=1, max_length=100, description="Only states before this checkpoint"),
    ] = None,
) -> list[dict[str, Any]]:
    """List a thread's states, newest first."""
    found = await _history(
        service, thread_id, caller.tenant, HistoryBody(limit=limit, before=before)
    )
    set_next_page(response, found, found.rows and found.rows[-1]["checkpoint_id"])
    return found.rows


@router.post("/threads/{thread_id}/history", responses=documented(*_READING, 413))
async def search_history(
    thread_id: ThreadId,
    body: HistoryBody,
    caller: Reader,
    service: ServiceDep,
    response: Response,
) -> list[dict[str, Any]]:
    """List a thread's states, newest first."""
    found = await _history(service, thread_id, caller.tenant, body)
    set_next_page(response, found, found.rows and found.rows[-1]["checkpoint_id"])
    return [selected_of_state(each, body.select) for each in found.rows]


async def _history(
    service: Service, thread_id: UUID, tenant: str, selection: HistoryBody
) -> Page[dict[str, Any]]:
    """Read states in steps, until there are as many as requested, or 4 MB of them."""
    graph = await _graph(service, thread_id, tenant)
    before = selection.before_id()
    at = selection.checkpoint.checkpoint_id if selection.checkpoint else None
    rows: list[dict[str, Any]] = []
    taken = 0
    while taken < MOST_BYTES and len(rows) <= selection.limit:
        step = min(STEP, selection.limit + 1 - len(rows))
        states: AsyncIterator[Any] = graph.aget_state_history(
            _at(thread_id, at),
            filter=clean(selection.metadata) if selection.metadata else None,
            before=None if before is None else _at(thread_id, before),
            limit=step,
        )
        found = [state_of(each) async for each in states]
        rows += found
        if len(found) < step:
            return Page(rows[: selection.limit], len(rows) > selection.limit)
        taken += sum(len(dumps(each)) for each in found)
        before = found[-1]["checkpoint_id"]
    return Page(rows[: selection.limit], more=True)


def _at(thread_id: UUID, checkpoint_id: str | None = None) -> RunnableConfig:
    """Return the config of a checkpoint: the thread's newest, unless one is named."""
    found = {"thread_id": str(thread_id), "checkpoint_ns": ""}
    if checkpoint_id is not None:
        found["checkpoint_id"] = storable(checkpoint_id)
    return RunnableConfig(configurable=found)


async def _graph(service: Service, thread_id: UUID, tenant: str) -> AgentGraph:
    """Return the agent's graph with access to the checkpoints of a tenant's thread."""
    async with service.database.connection() as connection:
        await threads.get(connection, thread_id, tenant)
    saver = PoolSaver(service.database.pool)
    graph: AgentGraph = graph_of("agent").copy(update={"checkpointer": saver})
    return graph
