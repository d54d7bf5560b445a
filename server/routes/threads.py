"""Threads and their states, as LangGraph's wire has them."""

import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langsmith import uuid7

from db import claims, threads
from db.checkpoints import PoolSaver
from db.errors import NotFoundError
from db.text import clean, storable
from db.threads import Wanted
from graph.build import AgentGraph
from server.assistants import graph_of
from server.auth import Reader, Writer
from server.errors import StillLiveError, documented
from server.events import place
from server.routes.given import GivenConnection, GivenService
from server.routes.strict import StrictRoute
from server.service import Service
from server.wire.base import StateFields, selected, selected_of_state
from server.wire.langgraph import (
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
from server.wire.state import input_fields

router = APIRouter(tags=["threads"], route_class=StrictRoute)

ThreadId = Annotated[UUID, Path(description="The thread")]
Subgraphs = Annotated[bool, Query(description="There are none")]
Select = Annotated[StateFields | None, Query(description="Only these fields; `values.KEY` for one")]
_READING = (401, 403, 404, 422)


@router.post("/threads", responses=documented(401, 403, 409, 413, 422))
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
    body: ThreadSearch, caller: Reader, connection: GivenConnection
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
    return [selected(ThreadAnswer.of(each), body.select) for each in found]


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


@router.patch("/threads/{thread_id}", responses=documented(*_READING, 413))
async def patch_thread(
    thread_id: ThreadId, body: ThreadPatch, caller: Writer, connection: GivenConnection
) -> ThreadAnswer:
    """Add to a thread's metadata."""
    await threads.annotate(connection, thread_id, caller.tenant, body.metadata)
    return ThreadAnswer.of(await threads.get(connection, thread_id, caller.tenant))


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


@router.post("/threads/{thread_id}/copy", responses=documented(*_READING))
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
    state = await graph.aget_state(_at(thread_id, body.checkpoint.get("checkpoint_id")))
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


@router.post("/threads/{thread_id}/state", responses=documented(*_READING, 409, 413))
async def update_state(
    thread_id: ThreadId, body: StateUpdate, caller: Writer, service: GivenService
) -> dict[str, Any]:
    """Add to a thread's state what a run's input may hold; the rest is the nodes' alone."""
    values = input_fields(body)
    wanted = body.checkpoint_id or (body.checkpoint or {}).get("checkpoint_id")
    async with service.database.transaction() as connection:
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
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most")] = 10,
    before: Annotated[str | None, Query(max_length=100, description="Only older ones")] = None,
) -> list[dict[str, Any]]:
    """List a thread's states, newest first."""
    return await _history(
        service, thread_id, caller.tenant, HistoryBody(limit=limit, before=before)
    )


@router.post("/threads/{thread_id}/history", responses=documented(*_READING, 413))
async def search_history(
    thread_id: ThreadId, body: HistoryBody, caller: Reader, service: GivenService
) -> list[dict[str, Any]]:
    """List a thread's states, newest first."""
    return await _history(service, thread_id, caller.tenant, body)


async def _history(
    service: Service, thread_id: UUID, tenant: str, wanted: HistoryBody
) -> list[dict[str, Any]]:
    graph = await _graph(service, thread_id, tenant)
    before = wanted.before
    if isinstance(before, dict):
        before = before.get("configurable", before).get("checkpoint_id")
    place_of = (wanted.checkpoint or {}).get("checkpoint_id")
    states: AsyncIterator[Any] = graph.aget_state_history(
        _at(thread_id, place_of),
        filter=clean(wanted.metadata) if wanted.metadata else None,
        before=_at(thread_id, before) if before else None,
        limit=wanted.limit,
    )
    return [selected_of_state(state_of(each), wanted.select) async for each in states]


def _at(thread_id: UUID, checkpoint_id: Any = None) -> RunnableConfig:
    """Return where a state is looked for: the thread's newest, unless one is named."""
    found = {"thread_id": str(thread_id), "checkpoint_ns": ""}
    if checkpoint_id:
        found["checkpoint_id"] = storable(str(checkpoint_id))
    return RunnableConfig(configurable=found)


async def _graph(service: Service, thread_id: UUID, tenant: str) -> AgentGraph:
    """Return the agent's graph with the thread's checkpoints, if the thread is the tenant's."""
    async with service.database.connection() as connection:
        await threads.get(connection, thread_id, tenant)
    saver = PoolSaver(service.database.pool)
    graph: AgentGraph = graph_of("agent").copy(update={"checkpointer": saver})
    return graph
