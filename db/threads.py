"""Threads: the state that several runs share, and how the last run left it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from selfheal.db import queries
from selfheal.db.encoding import json
from selfheal.db.errors import NotFoundError
from selfheal.db.paging import Page, page
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_optional, fetch_value

ThreadStatus = Literal["idle", "busy", "interrupted", "error"]
RestingStatus = Literal["idle", "interrupted", "error"]
SortBy = Literal["created_at", "updated_at", "thread_id", "status"]

_SQL = queries.load("threads")
_CHECKPOINTS: Final = ("checkpoints", "blobs", "writes")


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread. `values` is its state as the last run left it; None before the first run."""

    id: UUID
    tenant: str
    status: ThreadStatus
    metadata: dict[str, Any]
    values: dict[str, Any] | None
    error: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ThreadFilter:
    """Selects threads of a tenant: `metadata` and `values` must be contained in the thread's."""

    tenant: str
    metadata: Mapping[str, Any]
    values: Mapping[str, Any] | None = None
    ids: Sequence[UUID] | None = None
    status: ThreadStatus | None = None

    def parameters(self) -> dict[str, Any]:
        """Return the filter as parameters of a query."""
        return {
            "tenant": self.tenant,
            "metadata": json(self.metadata),
            "values": json(self.values),
            "ids": None if self.ids is None else list(self.ids),
            "status": self.status,
        }


async def create(
    connection: Connection, thread_id: UUID, tenant: str, metadata: Mapping[str, Any]
) -> bool:
    """Create a thread; False if the id is in use, by any tenant."""
    values = {"id": thread_id, "tenant": tenant, "metadata": json(metadata)}
    return (await connection.execute(_SQL["create"], values)).rowcount == 1


async def lock(connection: Connection, thread_id: UUID, tenant: str) -> None:
    """Lock a thread until the transaction ends: no other transaction can add runs to it.

    Raises:
        NotFoundError: the tenant has no such thread.
    """
    cursor = await connection.execute(_SQL["lock"], {"id": thread_id, "tenant": tenant})
    if cursor.rowcount != 1:
        raise _no_thread(thread_id)


async def get(connection: Connection, thread_id: UUID, tenant: str) -> Thread:
    """Return a tenant's thread.

    Raises:
        NotFoundError: the tenant has no such thread.
    """
    row = await fetch_optional(connection, _SQL["get"], {"id": thread_id, "tenant": tenant}, Thread)
    if row is None:
        raise _no_thread(thread_id)
    return row


async def search(
    connection: Connection,
    selection: ThreadFilter,
    *,
    sort_by: SortBy = "created_at",
    ascending: bool = False,
    limit: int = 10,
    offset: int = 0,
) -> Page[Thread]:
    """Return threads, in order. Call it in a transaction."""
    order = {"sort_by": sort_by, "ascending": ascending, "offset": offset}
    values = selection.parameters() | order
    return await page(connection, _SQL["search"], values, Thread, limit)


async def count(connection: Connection, selection: ThreadFilter) -> int:
    """Count threads."""
    return int(await fetch_value(connection, _SQL["count"], selection.parameters()) or 0)


async def annotate(
    connection: Connection, thread_id: UUID, tenant: str, metadata: Mapping[str, Any]
) -> None:
    """Add to a thread's metadata.

    Raises:
        NotFoundError: the tenant has no such thread.
    """
    values = {"id": thread_id, "tenant": tenant, "metadata": json(metadata)}
    if (await connection.execute(_SQL["annotate"], values)).rowcount != 1:
        raise _no_thread(thread_id)


async def settle(
    connection: Connection,
    thread_id: UUID,
    status: RestingStatus,
    *,
    values: Mapping[str, Any] | None = None,
    error: Mapping[str, Any] | None = None,
) -> None:
    """Store how a run left its thread; no effect if there is no such thread.

    Args:
        connection: to the database.
        thread_id: the thread.
        status: the thread's status from now on.
        values: its state; None leaves the stored one unchanged.
        error: why the run failed; None if it did not.
    """
    await connection.execute(
        _SQL["settle"],
        {"id": thread_id, "settled": status, "values": json(values), "error": json(error)},
    )


async def copy(connection: Connection, thread_id: UUID, tenant: str, into: UUID) -> None:
    """Copy a thread with its checkpoints, without its runs. Call it in a transaction.

    Raises:
        NotFoundError: the tenant has no such thread.
    """
    values = {"id": thread_id, "tenant": tenant, "copy": into}
    if (await connection.execute(_SQL["copy"], values)).rowcount != 1:
        raise _no_thread(thread_id)
    for part in _CHECKPOINTS:
        await connection.execute(_SQL[f"copy_{part}"], values)


async def delete(connection: Connection, thread_id: UUID, tenant: str) -> None:
    """Delete a thread with its checkpoints and runs. Call it in a transaction.

    Raises:
        NotFoundError: the tenant has no such thread.
    """
    values = {"id": thread_id, "tenant": tenant}
    if (await connection.execute(_SQL["delete"], values)).rowcount != 1:
        raise _no_thread(thread_id)
    await connection.execute(_SQL["delete_runs"], values)
    await delete_checkpoints(connection, [thread_id])


async def delete_checkpoints(connection: Connection, thread_ids: Sequence[UUID]) -> None:
    """Delete the checkpoints of threads. Call it in a transaction."""
    ids = [str(each) for each in thread_ids]
    for part in _CHECKPOINTS:
        await connection.execute(_SQL[f"delete_{part}"], {"ids": ids})


async def undo(connection: Connection, thread_id: UUID, run_id: UUID) -> None:
    """Delete a run's checkpoints from its thread. Call it in a transaction."""
    values = {"id": thread_id, "run_id": run_id}
    await connection.execute(_SQL["undo_writes"], values)
    await connection.execute(_SQL["undo_checkpoints"], values)


async def written_keys(
    connection: Connection, thread_id: UUID, run_id: UUID, *, has_input: bool
) -> set[str]:
    """Return the keys of a thread's state that were written since its current input.

    What an earlier run left there under other keys is not part of this run's result. The keys are
    read off the versions that LangGraph stores with each checkpoint, so the order and the number
    of the nodes that wrote them do not matter.

    Args:
        connection: to the database.
        thread_id: the thread.
        run_id: the run.
        has_input: the run has an input of its own; else it continues the thread.
    """
    values = {"id": thread_id, "run_id": run_id, "has_input": has_input}
    cursor = await connection.execute(_SQL["written_channels"], values)
    return {row["key"] for row in await cursor.fetchall()}


def _no_thread(thread_id: UUID) -> NotFoundError:
    return NotFoundError(f"there is no thread {thread_id}")
