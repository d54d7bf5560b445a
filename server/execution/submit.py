"""Submitting runs and cancelling them."""

import hmac
from typing import Final, NamedTuple
from uuid import UUID

from selfheal.db import claims, run_events, runs, threads
from selfheal.db.claims import CancelAction
from selfheal.db.pool import Connection, Database
from selfheal.db.run_requests import RunRequest
from selfheal.db.runs import RunResult
from selfheal.server.auth.limits import RUN_BYTES, StorageQuota
from selfheal.server.execution.local_slots import LocalSlot, LocalSlots
from selfheal.server.execution.queue import Queue
from selfheal.server.execution.run_end import complete_run
from selfheal.server.webhooks.url_policy import UrlPolicy

_CANCELLED: Final = RunResult(None, "cancelled before it began")


class QueueFullError(Exception):
    """Too many runs wait already."""


class ThreadBusyError(Exception):
    """The thread has an unfinished run, and the request's multitask strategy is `reject`."""


class IdempotencyError(Exception):
    """The idempotency key was used for another request."""


class SubmittedRun(NamedTuple):
    """A run that was stored: now, or before under the same idempotency key."""

    run_id: UUID
    thread_id: UUID


class RunSubmitter:
    """Stores runs for execution, and cancels them.

    Args:
        slots: the slots of this process, which may execute a run without a job.
        most_waiting: how many runs may wait for a process.
        webhooks: which URLs are allowed as webhooks.
        quota: how much each tenant may store.
    """

    def __init__(
        self,
        database: Database,
        queue: Queue,
        slots: LocalSlots,
        most_waiting: int,
        webhooks: UrlPolicy,
        quota: StorageQuota,
    ) -> None:
        self._database = database
        self._queue = queue
        self._slots = slots
        self._most_waiting = most_waiting
        self.webhooks = webhooks
        self.quota = quota

    async def submit(self, *requests: RunRequest) -> list[SubmittedRun]:
        """Store runs in one transaction, all or none. A stored run is executed, whatever fails.

        Raises:
            WebhookError: the URL of a webhook is not allowed.
            NotFoundError: the tenant has no such thread.
            ThreadBusyError: the thread has an unfinished run, and the strategy is `reject`.
            IdempotencyError: the idempotency key was used for another request.
            QueueFullError: too many runs wait already.
            QuotaExceededError: the tenant's storage quota is used up.
            DatabaseError: Postgres cannot be reached or refused.
        """
        for request in requests:
            self.webhooks.check(request.options.webhook)
            await self.quota.check(request.tenant, RUN_BYTES)
        async with self._slots.slot() as slot:

            async def store(connection: Connection) -> list[SubmittedRun]:
                waiting = await claims.waiting(connection, self._most_waiting)
                if waiting >= self._most_waiting:
                    raise QueueFullError
                if slot:
                    slot.claim = None  # of an attempt that was rolled back
                free = None if waiting else slot  # runs that wait come first
                return [await self._store(connection, each, free) for each in requests]

            return await self._database.run(store)

    async def _store(
        self, connection: Connection, request: RunRequest, slot: LocalSlot | None
    ) -> SubmittedRun:
        # First: a repeated request must neither end the runs of the thread, of which its own may
        # be one, nor create a thread.
        if earlier := await _earlier(connection, request):
            return earlier
        if not request.options.temporary:
            await self._prepare_thread(connection, request)
        queued = await claims.enqueue(connection, request)
        assert queued is not None  # noqa: S101 - the idempotency key is locked
        if not queued.behind:
            at = queued.due_at if request.after_seconds else None
            if at or slot is None or not await slot.take(connection, request.id):
                await self._queue.send(connection, request.id, at)
        return SubmittedRun(request.id, request.thread_id)

    async def _prepare_thread(self, connection: Connection, request: RunRequest) -> None:
        thread_id, tenant = request.thread_id, request.tenant
        if request.create_thread:
            await threads.create(connection, thread_id, tenant, {})
        await threads.lock(connection, thread_id, tenant)
        # As LangGraph's server does, so that threads can be searched for by their graph.
        await threads.annotate(connection, thread_id, tenant, {"graph_id": request.assistant})
        live = await claims.live(connection, thread_id)
        if live and request.multitask == "reject":
            raise ThreadBusyError(f"thread {thread_id} is busy: wait, or enqueue the run")
        if request.multitask in ("interrupt", "rollback"):
            for run_id in live:
                await self._cancel(connection, run_id, request.multitask)

    async def cancel(self, run_id: UUID, action: CancelAction) -> None:
        """Cancel a run; no effect if it has ended.

        Args:
            run_id: the run.
            action: `interrupt` keeps what it did; `rollback` deletes the run and what it did.

        Raises:
            DatabaseError: Postgres cannot be reached or refused.
        """
        await self._database.run(lambda connection: self._cancel(connection, run_id, action))

    async def _cancel(self, connection: Connection, run_id: UUID, action: CancelAction) -> None:
        state = await claims.request_cancel(connection, run_id, action)
        if state == "running":
            await run_events.notify_cancel(connection, run_id)
        if state == "waiting":
            result = None if action == "rollback" else _CANCELLED
            await complete_run(connection, self._queue, run_id, result)


async def _earlier(connection: Connection, request: RunRequest) -> SubmittedRun | None:
    """Return the run that was submitted before with a request's idempotency key, if it has one.

    Transactions that submit under the same key wait for each other.

    Raises:
        IdempotencyError: that request had another content.
    """
    if request.idempotency_key is None:
        return None
    earlier = await runs.by_key(connection, request.tenant, request.idempotency_key)
    if earlier is None:
        return None
    if not hmac.compare_digest(earlier.body_sha256 or "", request.body_sha256 or ""):
        raise IdempotencyError("this Idempotency-Key was used for another request")
    return SubmittedRun(earlier.id, earlier.thread_id)
