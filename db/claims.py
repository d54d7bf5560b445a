"""Runs that have not ended: who executes them, and until when that is believed.

A claim's token is fresh at each claim, and every write of the executor is made in a transaction
that holds the claim: a process that was paused and comes back can overwrite nothing. All times
are the database's.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from selfheal.db import queries
from selfheal.db.encoding import json, storable
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_all, fetch_optional, fetch_value

CancelAction = Literal["interrupt", "rollback"]
Multitask = Literal["reject", "interrupt", "rollback", "enqueue"]

_SQL = queries.load("claims")


@dataclass(frozen=True, slots=True)
class Order:
    """A run as it was asked for. `kwargs` is what LangGraph's wire calls so, input included."""

    id: UUID
    thread_id: UUID
    assistant: str
    kwargs: dict[str, Any]
    request: str = ""
    examples: list[Any] = field(default_factory=list)
    tenant: str = "local"
    metadata: dict[str, Any] = field(default_factory=dict)
    multitask: Multitask = "enqueue"
    after_seconds: float = 0.0
    idempotency_key: str | None = None
    body_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A run that waits. `behind`: another one of its thread comes first."""

    run_id: UUID
    due_at: datetime
    behind: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that this process executes now, as long as `token` holds."""

    id: UUID
    thread_id: UUID
    tenant: str
    assistant: str
    kwargs: dict[str, Any]
    metadata: dict[str, Any]
    attempt: int
    token: UUID
    cancel: CancelAction | None
    last_event: int


@dataclass(frozen=True, slots=True)
class Due:
    """A run at the head of its thread, and when it may begin."""

    run_id: UUID
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Forsaken:
    """A run that somebody must be sent to; `was_running`: its executor is believed dead."""

    run_id: UUID
    was_running: bool


async def accept(connection: Connection, order: Order) -> Accepted | None:
    """Log a run that waits for a process; None if one with its idempotency key is there.

    Call it in a transaction, with whatever sends somebody to it.
    """
    values = {
        "id": order.id,
        "thread_id": order.thread_id,
        "assistant": order.assistant,
        "request": storable(order.request),
        "examples": json(order.examples),
        "tenant": order.tenant,
        "kwargs": json(order.kwargs),
        "metadata": json(order.metadata),
        "multitask": order.multitask,
        "idempotency_key": order.idempotency_key,
        "body_sha256": order.body_sha256,
        "after_seconds": order.after_seconds,
    }
    return await fetch_optional(connection, _SQL["accept"], values, Accepted)


async def waiting(connection: Connection, limit: int) -> int:
    """Count the runs that wait for a process, no further than `limit`."""
    return int(await fetch_value(connection, _SQL["waiting"], {"limit": limit}) or 0)


async def claim(connection: Connection, run_id: UUID, runner: str, lease: float) -> Claim | None:
    """Take a run for `lease` seconds; None if it is another's, not its turn, or over."""
    values = {"id": run_id, "runner": runner, "lease": lease}
    return await fetch_optional(connection, _SQL["claim"], values, Claim)


async def renew(connection: Connection, claim: Claim, lease: float) -> CancelAction | None:
    """Believe in a claim for `lease` seconds more; return whether its run is to be cancelled.

    Raises:
        LookupError: somebody else has taken the run over, or it is over.
    """
    values = {"id": claim.id, "token": claim.token, "lease": lease}
    row = await (await connection.execute(_SQL["renew"], values)).fetchone()
    if row is None:
        raise LookupError(f"run {claim.id} is another's now")
    action: CancelAction | None = row["cancel"]
    return action


async def hold(connection: Connection, claim: Claim) -> None:
    """Keep a claim from being taken over until the transaction ends.

    Raises:
        ClaimLostError: it was taken over already.
    """
    await connection.execute(_SQL["hold"], {"id": claim.id, "token": claim.token})


async def hand_back(connection: Connection, claim: Claim) -> bool:
    """Give a claim up; False if it was lost before."""
    values = {"id": claim.id, "token": claim.token}
    cursor = await connection.execute(_SQL["hand_back"], values)
    return cursor.rowcount == 1


async def end(connection: Connection, run_id: UUID) -> Due | None:
    """Forget a run's claim; return the thread's next one."""
    row = await (await connection.execute(_SQL["end"], {"id": run_id})).fetchone()
    if row is None:
        return None
    return await fetch_optional(connection, _SQL["next_of_thread"], dict(row), Due)


async def live(connection: Connection, thread_id: UUID) -> list[UUID]:
    """Return the runs of a thread that have not ended, in their order."""
    cursor = await connection.execute(_SQL["live_of_thread"], {"thread_id": thread_id})
    return [row["run_id"] for row in await cursor.fetchall()]


async def ask_to_cancel(
    connection: Connection, run_id: UUID, action: CancelAction
) -> Literal["waiting", "running", "over"]:
    """Note that a run is to be cancelled; return how it stands. Call it in a transaction.

    One that was begun and handed back is `running`: whoever takes it over takes back what it did.
    """
    values = {"id": run_id, "action": action}
    row = await (await connection.execute(_SQL["ask_to_cancel"], values)).fetchone()
    if row is None:
        return "over"
    return "running" if row["begun"] else "waiting"


async def forsaken(connection: Connection, lease: float, limit: int = 100) -> list[Forsaken]:
    """Return the runs that somebody must be sent to, marked as sent."""
    return await fetch_all(connection, _SQL["forsaken"], {"lease": lease, "limit": limit}, Forsaken)
