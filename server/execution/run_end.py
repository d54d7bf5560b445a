"""The end of a run: its result, its thread, its webhook, and the next run of its thread."""

from uuid import UUID

from selfheal.db import claims, run_events, runs, threads, webhook_outbox
from selfheal.db.claims import Claim
from selfheal.db.pool import Connection
from selfheal.db.runs import RunResult, Status
from selfheal.db.threads import RestingStatus
from selfheal.server.execution.queue import Queue


async def complete_run(
    connection: Connection,
    queue: Queue,
    run_id: UUID,
    result: RunResult | None,
    *,
    claim: Claim | None = None,
) -> None:
    """Store the end of a run. Every run ends here. Call it in a transaction.

    Args:
        connection: to the database.
        queue: where the thread's next run is sent.
        run_id: the run.
        result: what is stored; None rolls the run back, as if it had never been requested.
        claim: this process's claim; None for a run that no process has started.

    Raises:
        ClaimLostError: another process has claimed the run.
        DatabaseError: Postgres cannot be reached or refused.
    """
    if claim is not None:
        await claims.hold(connection, claim)
    if result is not None:
        if claim is None or claim.options.webhook:
            # First: it reads when the run was claimed, which the result overwrites.
            await webhook_outbox.add(connection, run_id, result.values)
        await runs.finish(connection, run_id, result)
    if claim is not None:
        await _leave_thread(connection, claim, result)
    if following := await claims.release(connection, run_id):
        await queue.send(connection, following.run_id, following.due_at)
    await run_events.notify(connection, run_id)
    if result is None:
        await runs.delete(connection, run_id)


async def _leave_thread(connection: Connection, claim: Claim, result: RunResult | None) -> None:
    if result is None:
        await threads.undo(connection, claim.thread_id, claim.id)
    elif claim.options.temporary:
        await threads.delete_checkpoints(connection, [claim.thread_id])
    else:
        await threads.settle(
            connection,
            claim.thread_id,
            _resting_status(result.status),
            values=result.values,
            error=result.failure,
        )


def _resting_status(status: Status) -> RestingStatus:
    if status == "interrupted":
        return "interrupted"
    return "idle" if status == "success" else "error"
