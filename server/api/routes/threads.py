"""Threads and their states, as LangGraph's wire has them."""

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
from selfheal.db.threads import Wanted
from selfheal.graph.build import AgentGraph
from selfheal.server.api.assistants import graph_of
from selfheal.server.api.dependencies import GivenConnection, GivenService, storing
from selfheal.server.api.errors import StillLiveError, documented
from selfheal.server.api.schemas.base import (
    StateFields,
    place_of,
    selected,
    selected_of_state,
    small,
)
from selfheal.server.api.schemas.langgraph import (
    HistoryBody,
    StateAt,
    StateUpdate,
    ThreadAnswer,
    ThreadCount,
    ThreadCreate,
    ThreadPatch,
    ThreadSearch,
    place,
    state_of,
)
from selfheal.server.api.schemas.state import input_fields
from selfheal.server.api.streaming import tell_next
from selfheal.server.api.strict_json import StrictRoute
from selfheal.server.auth.api_keys import Reader, Writer
from selfheal.server.auth.storage_quota import A_NOTE, A_RUN, UNKNOWN
from selfheal.server.serialization import dumps
from selfheal.server.service import Service

router = APIRouter(tags=["threads"], route_class=StrictRoute)

ThreadId = Annotated[UUID, Path(description="The thread")]
Subgraphs = Annotated[bool, Query(description="There are none")]
Select = Annotated[StateFields | None, Query(description="Only these fields; `values.KEY` for one")]
_READING = (401, 403, 404, 422)


@router.post(
    "/threads", dependencies=[storing(A_NOTE)], responses=documented(401, 403, 409, 413, 422, 507)
)
async def create_thread(
    body: ThreadCreate, caller: Writer, connection: GivenConnection
) -> ThreadAnswer:
    """Create a thread."""
    thread_id = body.thread_id or uuid7()
    made = await threads.create(connection, thread_id, caller.tenant, body.metadata or {})
    if made or body.if_exists == "do_nothing":
        with contextlib.suppress(NotFoundError):  # it is another's, which nobody is told
            return ThreadAnswer.of(await threads.get(connection, thread_id, caller.tenant))
    raise StillLiveError(f"there is a thread {thread_id} already")


@router.post("/threads/search", responses=documented(401, 403, 413, 422))
async def search_threads(
    body: ThreadSearch, caller: Reader, connection: GivenConnection, response: Response
) -> list[dict[str, Any]]:
    """List threads, newest first unless asked otherwise."""
    wanted = Wanted(caller.tenant, body.metadata or {}, body.values, body.ids, body.status)
    found = await threads.search(
        connection,
        wanted,
        sort_by=body.sort_by or "created_at",
        ascending=body.sort_order == "asc",
        limit=body.limit,
        offset=body.offset,
    )
    tell_next(response, found, body.offset + len(found.rows))
    return [selected(ThreadAnswer.of(each), body.select) for each in found.rows]


@router.post("/threads/count", responses=documented(401, 403, 413, 422))
async def count_threads(body: ThreadCount, caller: Reader, connection: GivenConnection) -> int:
    """Count threads."""
    wanted = Wanted(caller.tenant, body.metadata or {}, body.values, status=body.status)
    return await threads.count(connection, wanted)


@router.get("/threads/{thread_id}", responses=documented(*_READING))
async def get_thread(
    thread_id: ThreadId, caller: Reader, connection: GivenConnection
) -> ThreadAnswer:
    """Show a thread."""
    return ThreadAnswer.of(await threads.get(connection, thread_id, caller.tenant))


@router.patch(
    "/threads/{thread_id}",
    dependencies=[storing(A_NOTE)],
    responses=documented(*_READING, 413, 507),
)
async def patch_thread(
    thread_id: ThreadId, body: ThreadPatch, caller: Writer, connection: GivenConnection
) -> ThreadAnswer:
    """Add to a thread's metadata."""
    await threads.lock(connection, thread_id, caller.tenant)
    before = await threads.get(connection, thread_id, caller.tenant)
    _small_together({**before.metadata, **body.metadata})
    await threads.annotate(connection, thread_id, caller.tenant, body.metadata)
    return ThreadAnswer.of(await threads.get(connection, thread_id, caller.tenant))


def _small_together(metadata: dict[str, Any]) -> None:
    """See that what was noted before and is added now can be kept.

    Raises:
        RequestValidationError: it is too much.
    """
    try:
        small(metadata)
    except ValueError as error:
        problem = {"loc": ("body", "metadata"), "msg": f"with what is there: {error}"}
        raise RequestValidationError([{**problem, "type": "value_error"}]) from None


@router.delete(
    "/threads/{thread_id}",
    status_code=204,
    responses=documented(*_READING, 409),
    response_model=None,
)
async def delete_thread(thread_id: ThreadId, caller: Writer, connection: GivenConnection) -> None:
    """Delete a thread with its states and its runs."""
    await threads.lock(connection, thread_id, caller.tenant)
    if await claims.live(connection, thread_id):
        raise StillLiveError(f"thread {thread_id} is busy: cancel its runs first")
    await threads.delete(connection, thread_id, caller.tenant)


@router.post(
    "/threads/{thread_id}/copy",
    dependencies=[storing(UNKNOWN)],
    responses=documented(*_READING, 507),
)
async def copy_thread(
    thread_id: ThreadId, caller: Writer, connection: GivenConnection
) -> ThreadAnswer:
    """Copy a thread with its states, not its runs."""
    into = uuid7()
    await threads.copy(connection, thread_id, caller.tenant, into)
    return ThreadAnswer.of(await threads.get(connection, into, caller.tenant))


@router.get("/threads/{thread_id}/state", responses=documented(*_READING))
async def get_state(
    thread_id: ThreadId,
    caller: Reader,
    service: GivenService,
    subgraphs: Subgraphs = False,
    select: Select = None,
) -> dict[str, Any]:
    """Show a thread's state."""
    graph = await _graph(service, thread_id, caller.tenant)
    return selected_of_state(state_of(await graph.aget_state(_at(thread_id))), select)


@router.post("/threads/{thread_id}/state/checkpoint", responses=documented(*_READING, 413))
async def get_state_at(
    thread_id: ThreadId, body: StateAt, caller: Reader, service: GivenService
) -> dict[str, Any]:
    """Show a thread's state at a checkpoint."""
    graph = await _graph(service, thread_id, caller.tenant)
    state = await graph.aget_state(_at(thread_id, body.checkpoint.checkpoint_id))
    return selected_of_state(state_of(state), body.select)


@router.get("/threads/{thread_id}/state/{checkpoint_id}", responses=documented(*_READING))
async def get_state_of(
    thread_id: ThreadId,
    checkpoint_id: Annotated[str, Path(max_length=100, description="The checkpoint")],
    caller: Reader,
    service: GivenService,
    subgraphs: Subgraphs = False,
    select: Select = None,
) -> dict[str, Any]:
    """Show a thread's state at a checkpoint."""
    graph = await _graph(service, thread_id, caller.tenant)
    state = await graph.aget_state(_at(thread_id, checkpoint_id))
    return selected_of_state(state_of(state), select)


@router.post(
    "/threads/{thread_id}/state",
    dependencies=[storing(A_RUN)],
    responses=documented(*_READING, 409, 413, 507),
)
async def update_state(
    thread_id: ThreadId, body: StateUpdate, caller: Writer, connection: GivenConnection
) -> dict[str, Any]:
    """Add to a thread's state what a run's input may hold; the rest is the nodes' alone."""
    values = input_fields(body)
    wanted = place_of(body.checkpoint_id, body.checkpoint)
    await threads.lock(connection, thread_id, caller.tenant)
    if await claims.live(connection, thread_id):
        raise StillLiveError(f"thread {thread_id} is busy: wait for its runs, or cancel them")
    graph = graph_of("agent").copy(update={"checkpointer": AsyncPostgresSaver(connection)})
    at = await graph.aupdate_state(_at(thread_id, wanted), values, as_node="__start__")
    left = state_of(await graph.aget_state(_at(thread_id)))
    await threads.settle(connection, thread_id, "idle", values=left["values"])
    found = place(at) or {}
    return {"checkpoint": found, "configurable": found, "checkpoint_id": found["checkpoint_id"]}


@router.get("/threads/{thread_id}/history", responses=documented(*_READING))
async def get_history(
    thread_id: ThreadId,
    caller: Reader,
    service: GivenService,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most")] = 10,
    before: Annotated[
        str | None, Query(min_length=1, max_length=100, description="Only older ones")
    ] = None,
) -> list[dict[str, Any]]:
    """List a thread's states, newest first."""
    found = await _history(
        service, thread_id, caller.tenant, HistoryBody(limit=limit, before=before)
    )
    tell_next(response, found, found.rows and found.rows[-1]["checkpoint_id"])
    return found.rows


@router.post("/threads/{thread_id}/history", responses=documented(*_READING, 413))
async def search_history(
    thread_id: ThreadId,
    body: HistoryBody,
    caller: Reader,
    service: GivenService,
    response: Response,
) -> list[dict[str, Any]]:
    """List a thread's states, newest first."""
    found = await _history(service, thread_id, caller.tenant, body)
    tell_next(response, found, found.rows and found.rows[-1]["checkpoint_id"])
    return [selected_of_state(each, body.select) for each in found.rows]


async def _history(
    service: Service, thread_id: UUID, tenant: str, wanted: HistoryBody
) -> Page[dict[str, Any]]:
    """Read states, some at once, until they are as many as wanted, or as many as hold 4 MB."""
    graph = await _graph(service, thread_id, tenant)
    before = wanted.older_than()
    at = wanted.checkpoint.checkpoint_id if wanted.checkpoint else None
    rows: list[dict[str, Any]] = []
    taken = 0
    while taken < MOST_BYTES and len(rows) <= wanted.limit:
        step = min(STEP, wanted.limit + 1 - len(rows))
        states: AsyncIterator[Any] = graph.aget_state_history(
            _at(thread_id, at),
            filter=clean(wanted.metadata) if wanted.metadata else None,
            before=None if before is None else _at(thread_id, before),
            limit=step,
        )
        found = [state_of(each) async for each in states]
        rows += found
        if len(found) < step:
            return Page(rows[: wanted.limit], len(rows) > wanted.limit)
        taken += sum(len(dumps(each)) for each in found)
        before = found[-1]["checkpoint_id"]
    return Page(rows[: wanted.limit], more=True)


def _at(thread_id: UUID, checkpoint_id: str | None = None) -> RunnableConfig:
    """Return where a state is looked for: the thread's newest, unless one is named."""
    found = {"thread_id": str(thread_id), "checkpoint_ns": ""}
    if checkpoint_id is not None:
        found["checkpoint_id"] = storable(checkpoint_id)
    return RunnableConfig(configurable=found)


async def _graph(service: Service, thread_id: UUID, tenant: str) -> AgentGraph:
    """Return the agent's graph with the thread's checkpoints, if the thread is the tenant's."""
    async with service.database.connection() as connection:
        await threads.get(connection, thread_id, tenant)
    saver = PoolSaver(service.database.pool)
    graph: AgentGraph = graph_of("agent").copy(update={"checkpointer": saver})
    return graph
