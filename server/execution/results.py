"""The end of a run: its one result, its thread, who is told, and who comes next; all or nothing."""

from typing import Any
from uuid import UUID

from selfheal.db import claims, run_events, runs, threads, webhook_outbox
from selfheal.db.claims import Claim
from selfheal.db.pool import Connection, Database
from selfheal.db.runs import Finish
from selfheal.db.threads import Settled
from selfheal.server.execution.agent_executor import Ended
from selfheal.server.execution.queue import Queue


async def record(database: Database, queue: Queue, claim: Claim, ended: Ended) -> None:
    """Record a run's result.

    Raises:
        ClaimLostError: the run is another's now; nothing was recorded.
        DatabaseError: Postgres cannot be reached or refused; nothing was recorded.
    """

    async def finish(connection: Connection) -> None:
        await claims.hold(connection, claim)
        if claim.kwargs.get("webhook"):
            await webhook_outbox.put(connection, claim.id, ended.values)
        await runs.finish(connection, claim.id, ended.finish)
        await _leave_thread(connection, claim, ended)
        await let_next(connection, queue, claim.id)

    await database.run(finish)


async def undo(database: Database, queue: Queue, claim: Claim) -> None:
    """Take a run back: as if it had never been asked for.

    Raises:
        ClaimLostError: the run is another's now; nothing was taken back.
        DatabaseError: Postgres cannot be reached or refused; nothing was taken back.
    """

    async def forget(connection: Connection) -> None:
        await claims.hold(connection, claim)
        await threads.undo(connection, claim.thread_id, claim.id)
        await let_next(connection, queue, claim.id)
        await runs.delete(connection, claim.id)

    await database.run(forget)


async def let_next(connection: Connection, queue: Queue, run_id: UUID) -> None:
    """Forget an ended run's claim, wake who waits for it, send somebody to the thread's next."""
    if following := await claims.end(connection, run_id):
        await queue.send(connection, following.run_id, following.due_at)
    await run_events.tell(connection, run_id)


async def _leave_thread(connection: Connection, claim: Claim, ended: Ended) -> None:
    if claim.kwargs.get("temporary"):
        await threads.forget_states(connection, [claim.thread_id])
        return
    await threads.settle(
        connection,
        claim.thread_id,
        _settled(ended.finish),
        values=ended.values,
        error=failure(ended.finish),
    )


def _settled(finish: Finish) -> Settled:
    if finish.status == "interrupted":
        return "interrupted"
    return "idle" if finish.status == "success" else "error"


def failure(finish: Finish) -> dict[str, Any] | None:
    """Return why a run has no verdict, as the wire tells it; None if it has one."""
    if finish.status not in ("error", "timeout"):
        return None
    return {"error": finish.outcome, "message": finish.message}
