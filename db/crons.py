"""Crons: runs that come again and again, by a schedule."""

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
class Plan:
    """What comes when. `payload` is the run, as a body of the wire."""

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
class Cron(Plan):
    """A plan that is kept."""

    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which crons of a tenant are looked for."""

    tenant: str
    metadata: Mapping[str, Any]
    assistant: str | None = None
    thread_id: UUID | None = None
    enabled: bool | None = None

    def parameters(self) -> dict[str, Any]:
        """Return it as a query takes it."""
        return {**asdict(self), "metadata": json(self.metadata)}


async def now(connection: Connection) -> datetime:
    """Return the database's time, which is that of all crons."""
    moment: datetime = await fetch_value(connection, _SQL["now"])
    return moment


async def lock(connection: Connection, tenant: str) -> None:
    """Make others who would add crons of a tenant wait until the transaction ends."""
    await connection.execute(_SQL["lock_tenant"], {"tenant": tenant})


async def put(connection: Connection, plan: Plan) -> Cron:
    """Keep a plan, instead of the one with its id if there is one."""
    values = {name: getattr(plan, name) for name in Plan.__dataclass_fields__}
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
    wanted: Wanted,
    *,
    sort_by: SortBy = "created_at",
    ascending: bool = False,
    limit: int = 10,
    offset: int = 0,
) -> Page[Cron]:
    """Return crons, in order. Call it in a transaction."""
    order = {"sort_by": sort_by, "ascending": ascending, "offset": offset}
    values = wanted.parameters() | order
    return await page(connection, _SQL["search"], values, Cron, limit)


async def count(connection: Connection, wanted: Wanted) -> int:
    """Count crons."""
    return int(await fetch_value(connection, _SQL["count"], wanted.parameters()) or 0)


async def delete(connection: Connection, cron_id: UUID, tenant: str) -> None:
    """Delete a cron; the runs that it made stay.

    Raises:
        NotFoundError: the tenant has no such cron.
    """
    values = {"id": cron_id, "tenant": tenant}
    if (await connection.execute(_SQL["delete"], values)).rowcount != 1:
        raise _no_cron(cron_id)


async def due(connection: Connection, limit: int) -> list[Cron]:
    """Return crons whose time has come, the longest waiting first."""
    return await fetch_all(connection, _SQL["due"], {"limit": limit}, Cron)


async def advance(connection: Connection, cron: Cron, next_run_at: datetime | None) -> None:
    """Note when a cron comes next; no effect if that was done, or it is planned anew."""
    values = {"id": cron.id, "was": cron.next_run_at, "next_run_at": next_run_at}
    await connection.execute(_SQL["advance"], values)


def _no_cron(cron_id: UUID) -> NotFoundError:
    return NotFoundError(f"there is no cron {cron_id}")
