"""Crons: runs by a schedule."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from selfheal.db import queries
from selfheal.db.encoding import json
from selfheal.db.errors import NotFoundError
from selfheal.db.paging import Page, page
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_all, fetch_one, fetch_optional, fetch_value

OnRunCompleted = Literal["delete", "keep"]
SortBy = Literal[
    "cron_id",
    "assistant_id",
    "thread_id",
    "created_at",
    "updated_at",
    "next_run_date",
    "end_time",
]

_SQL = queries.load("crons")


@dataclass(frozen=True, slots=True, kw_only=True)
class CronPlan:
    """A cron to be stored.

    Attributes:
        key_id: the key that created or last updated it; None without keys. It runs while the key is
            valid.
        payload: the run, as the fields of LangGraph's API that were given.
        on_run_completed: without a thread, whether the state of each run is kept.
        end_time: no run after this.
        next_run_at: None if it does not run any more.
    """

    id: UUID
    tenant: str
    key_id: str | None
    assistant: str
    thread_id: UUID | None
    schedule: str
    timezone: str | None
    payload: dict[str, Any]
    metadata: dict[str, Any]
    on_run_completed: OnRunCompleted | None
    enabled: bool
    end_time: datetime | None
    next_run_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron(CronPlan):
    """A stored cron."""

    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class CronFilter:
    """Selects crons of a tenant: `metadata` must be contained in the cron's."""

    tenant: str
    metadata: Mapping[str, Any]
    assistant: str | None = None
    thread_id: UUID | None = None
    enabled: bool | None = None

    def parameters(self) -> dict[str, Any]:
        """Return the filter as parameters of a query."""
        return {**asdict(self), "metadata": json(self.metadata)}


async def now(connection: Connection) -> datetime:
    """Return the database's time, which schedules go by."""
    moment: datetime = await fetch_value(connection, _SQL["now"])
    return moment


async def lock(connection: Connection, tenant: str) -> None:
    """Serialize the transactions that add crons of a tenant, until this one ends."""
    await connection.execute(_SQL["lock_tenant"], {"tenant": tenant})


async def put(connection: Connection, plan: CronPlan) -> Cron:
    """Store a cron, in place of the one with its id if there is one."""
    values = {name: getattr(plan, name) for name in CronPlan.__dataclass_fields__}
    values |= {"payload": json(plan.payload), "metadata": json(plan.metadata)}
    return await fetch_one(connection, _SQL["put"], values, Cron)


async def get(connection: Connection, cron_id: UUID, tenant: str) -> Cron:
    """Return a tenant's cron, locked until the transaction ends.

    Raises:
        NotFoundError: the tenant has no such cron.
    """
    row = await fetch_optional(connection, _SQL["get"], {"id": cron_id, "tenant": tenant}, Cron)
    if row is None:
        raise _no_cron(cron_id)
    return row


async def search(
    connection: Connection,
    selection: CronFilter,
    *,
    sort_by: SortBy = "created_at",
    ascending: bool = False,
    limit: int = 10,
    offset: int = 0,
) -> Page[Cron]:
    """Return crons, in order. Call it in a transaction."""
    order = {"sort_by": sort_by, "ascending": ascending, "offset": offset}
    values = selection.parameters() | order
    return await page(connection, _SQL["search"], values, Cron, limit)


async def count(connection: Connection, selection: CronFilter) -> int:
    """Count crons."""
    return int(await fetch_value(connection, _SQL["count"], selection.parameters()) or 0)


async def delete(connection: Connection, cron_id: UUID, tenant: str) -> None:
    """Delete a cron; its runs are kept.

    Raises:
        NotFoundError: the tenant has no such cron.
    """
    values = {"id": cron_id, "tenant": tenant}
    if (await connection.execute(_SQL["delete"], values)).rowcount != 1:
        raise _no_cron(cron_id)


async def due(connection: Connection, limit: int) -> list[Cron]:
    """Return crons that are due, the most overdue first."""
    return await fetch_all(connection, _SQL["due"], {"limit": limit}, Cron)


async def advance(connection: Connection, cron: Cron, next_run_at: datetime | None) -> None:
    """Store a cron's next date; no effect if that was done already, or the cron was updated."""
    values = {"id": cron.id, "was": cron.next_run_at, "next_run_at": next_run_at}
    await connection.execute(_SQL["advance"], values)


def _no_cron(cron_id: UUID) -> NotFoundError:
    return NotFoundError(f"there is no cron {cron_id}")
