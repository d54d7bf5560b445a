"""Claims: which process executes an unfinished run, and until when.

A claim has a fresh token each time it is made, and the executor makes every write in a transaction
that holds the claim: a process that was paused and comes back cannot overwrite anything. All times
are the database's.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from selfheal.db import queries, run_events
from selfheal.db.encoding import json, storable
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_all, fetch_optional, fetch_value
from selfheal.db.run_requests import RunOptions, RunRequest

CancelAction = Literal["interrupt", "rollback"]

_SQL = queries.load("claims")


@dataclass(frozen=True, slots=True)
class QueuedRun:
    """A run that waits, and when it may start. `behind`: an earlier run of its thread is first."""

    run_id: UUID
    due_at: datetime
    behind: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that this process executes, as long as `token` is the claim's.

    Attributes:
        attempt: 1 for the first process that executes it.
        cancel: how it is to be cancelled, if that was requested.
        last_event: the number of its last stored event, 0 if there is none.
    """

    id: UUID
    thread_id: UUID
    tenant: str
    assistant: str
    options: RunOptions
    metadata: dict[str, Any]
    attempt: int
    token: UUID
    cancel: CancelAction | None
    last_event: int


@dataclass(frozen=True, slots=True)
class NextRun:
    """The first unfinished run of a thread, and when it may start."""

    run_id: UUID
    due_at: datetime


@dataclass(frozen=True, slots=True)
class UnattendedRun:
    """A run to be enqueued again. `was_running`: its executor's lease has expired."""

    run_id: UUID
    was_running: bool


async def enqueue(connection: Connection, request: RunRequest) -> QueuedRun | None:
    """Store a run that waits for a process. Call it in a transaction that also sends the job.

    Returns:
        None if the tenant has a run with its idempotency key already.
    """
    values = {
        "id": request.id,
        "thread_id": request.thread_id,
        "assistant": request.assistant,
        "request": storable(request.text),
        "examples": json(request.examples),
        "tenant": request.tenant,
        "kwargs": json(request.options.stored()),
        "metadata": json(request.metadata),
        "multitask": request.multitask,
        "idempotency_key": request.idempotency_key,
        "body_sha256": request.body_sha256,
        "after_seconds": request.after_seconds,
    }
    return await fetch_optional(connection, _SQL["enqueue"], values, QueuedRun)


async def waiting(connection: Connection, limit: int) -> int:
    """Count the runs that wait for a process, up to `limit`."""
    return int(await fetch_value(connection, _SQL["waiting"], {"limit": limit}) or 0)


async def claim(connection: Connection, run_id: UUID, runner: str, lease: float) -> Claim | None:
    """Claim a run for this process.

    Args:
        connection: to the database.
        run_id: the run.
        runner: the process, for operators.
        lease: seconds until the claim expires unless it is renewed.

    Returns:
        None if another process has it, an earlier run of its thread is unfinished, or it has ended.
    """
    values = {"id": run_id, "runner": runner, "lease": lease}
    row = await (await connection.execute(_SQL["claim"], values)).fetchone()
    if row is None:
        return None
    # A statement of its own: the first one may have waited for the executor before, whose last
    # events are not in its snapshot.
    last_event = await run_events.last(connection, run_id)
    return Claim(**{**row, "options": RunOptions.parse(row["options"])}, last_event=last_event)


async def renew(connection: Connection, claim: Claim, lease: float) -> CancelAction | None:
    """Renew a claim for `lease` seconds; return whether its run is to be cancelled, and how.

    Raises:
        LookupError: another process has claimed the run, or it has ended.
    """
    values = {"id": claim.id, "token": claim.token, "lease": lease}
    row = await (await connection.execute(_SQL["renew"], values)).fetchone()
    if row is None:
        raise LookupError(f"run {claim.id} is claimed by another process")
    action: CancelAction | None = row["cancel"]
    return action


async def hold(connection: Connection, claim: Claim) -> None:
    """Lock a claim until the transaction ends, so that no other process can make it.

    Raises:
        ClaimLostError: another process has made it already.
    """
    await connection.execute(_SQL["hold"], {"id": claim.id, "token": claim.token})


async def hand_back(connection: Connection, claim: Claim) -> bool:
    """Give a claim up, so that another process can make it at once; False if it was lost."""
    values = {"id": claim.id, "token": claim.token}
    cursor = await connection.execute(_SQL["hand_back"], values)
    return cursor.rowcount == 1


async def release(connection: Connection, run_id: UUID) -> NextRun | None:
    """Delete the claim of an ended run; return the next run of its thread, if there is one."""
    row = await (await connection.execute(_SQL["release"], {"id": run_id})).fetchone()
    if row is None:
        return None
    return await fetch_optional(connection, _SQL["next_of_thread"], dict(row), NextRun)


async def live(connection: Connection, thread_id: UUID) -> list[UUID]:
    """Return the unfinished runs of a thread, in their order."""
    cursor = await connection.execute(_SQL["live_of_thread"], {"thread_id": thread_id})
    return [row["run_id"] for row in await cursor.fetchall()]


async def request_cancel(
    connection: Connection, run_id: UUID, action: CancelAction
) -> Literal["waiting", "running", "ended"]:
    """Store that a run is to be cancelled; return its state. Call it in a transaction.

    A run that was started and handed back is `running`: the next executor cancels it, and undoes
    what was done.
    """
    values = {"id": run_id, "action": action}
    row = await (await connection.execute(_SQL["request_cancel"], values)).fetchone()
    if row is None:
        return "ended"
    return "running" if row["begun"] else "waiting"


async def take_unattended(
    connection: Connection, lease: float, limit: int = 100
) -> list[UnattendedRun]:
    """Return runs whose lease has expired or whose job was lost, marked as enqueued again.

    Args:
        connection: to the database.
        lease: seconds that a waiting run's job has before it is taken for lost.
        limit: the most runs to return.
    """
    return await fetch_all(
        connection, _SQL["take_unattended"], {"lease": lease, "limit": limit}, UnattendedRun
    )
