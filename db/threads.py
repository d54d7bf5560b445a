"""Threads: what several runs share, and how the last one left it."""

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
Settled = Literal["idle", "interrupted", "error"]
SortBy = Literal["created_at", "updated_at", "thread_id", "status"]

_SQL = queries.load("threads")
_CHECKPOINTS: Final = ("checkpoints", "blobs", "writes")


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread. `values` are its state's, as its last run left them; null before the first."""

    id: UUID
    tenant: str
    status: ThreadStatus
    metadata: dict[str, Any]
    values: dict[str, Any] | None
    error: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which threads of a tenant are looked for: all that contain what is given."""

    tenant: str
    metadata: Mapping[str, Any]
    values: Mapping[str, Any] | None = None
    ids: Sequence[UUID] | None = None
    status: ThreadStatus | None = None

    def parameters(self) -> dict[str, Any]:
        """Return it as a query takes it."""
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
    """Create a thread; False if something of that id is there, whoever's."""
    values = {"id": thread_id, "tenant": tenant, "metadata": json(metadata)}
    return (await connection.execute(_SQL["create"], values)).rowcount == 1


async def lock(connection: Connection, thread_id: UUID, tenant: str) -> None:
    """Make others who would add runs to a thread wait until the transaction ends.

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
    wanted: Wanted,
    *,
    sort_by: SortBy = "created_at",
    ascending: bool = False,
    limit: int = 10,
    offset: int = 0,
) -> Page[Thread]:
    """Return threads, in order. Call it in a transaction."""
    order = {"sort_by": sort_by, "ascending": ascending, "offset": offset}
    values = wanted.parameters() | order
    return await page(connection, _SQL["search"], values, Thread, limit)


async def count(connection: Connection, wanted: Wanted) -> int:
    """Count threads."""
    return int(await fetch_value(connection, _SQL["count"], wanted.parameters()) or 0)


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
    settled: Settled,
    *,
    values: Mapping[str, Any] | None = None,
    error: Mapping[str, Any] | None = None,
) -> None:
    """Note how a run left its thread; no effect on a thread that is no more, or never was."""
    await connection.execute(
        _SQL["settle"],
        {"id": thread_id, "settled": settled, "values": json(values), "error": json(error)},
    )


async def copy(connection: Connection, thread_id: UUID, tenant: str, into: UUID) -> None:
    """Copy a thread with its states, not its runs. Call it in a transaction.

    Raises:
        NotFoundError: the tenant has no such thread.
    """
    values = {"id": thread_id, "tenant": tenant, "copy": into}
    if (await connection.execute(_SQL["copy"], values)).rowcount != 1:
        raise _no_thread(thread_id)
    for part in _CHECKPOINTS:
        await connection.execute(_SQL[f"copy_{part}"], values)


async def delete(connection: Connection, thread_id: UUID, tenant: str) -> None:
    """Delete a thread with its states and runs. Call it in a transaction.

    Raises:
        NotFoundError: the tenant has no such thread.
    """
    values = {"id": thread_id, "tenant": tenant}
    if (await connection.execute(_SQL["delete"], values)).rowcount != 1:
        raise _no_thread(thread_id)
    await connection.execute(_SQL["delete_runs"], values)
    await forget_states(connection, [thread_id])


async def forget_states(connection: Connection, thread_ids: Sequence[UUID]) -> None:
    """Delete the checkpoints of threads. Call it in a transaction."""
    ids = [str(each) for each in thread_ids]
    for part in _CHECKPOINTS:
        await connection.execute(_SQL[f"delete_{part}"], {"ids": ids})


async def undo(connection: Connection, thread_id: UUID, run_id: UUID) -> None:
    """Take a run's checkpoints back off its thread. Call it in a transaction."""
    values = {"id": thread_id, "run_id": run_id}
    await connection.execute(_SQL["undo_writes"], values)
    await connection.execute(_SQL["undo_checkpoints"], values)


def _no_thread(thread_id: UUID) -> NotFoundError:
    return NotFoundError(f"there is no thread {thread_id}")
