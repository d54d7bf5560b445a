"""Taking runs in: who may, what becomes of the thread's other runs, and how many may wait."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID

from selfheal.db import claims, run_events, runs, threads, webhook_outbox
from selfheal.db.claims import CancelAction, Order
from selfheal.db.pool import Connection, Database
from selfheal.server.auth.storage_quota import A_RUN, Quota
from selfheal.server.execution.local_slots import Here, Slot
from selfheal.server.execution.queue import Queue
from selfheal.server.execution.results import let_next
from selfheal.server.run_request import IfNotExists
from selfheal.server.serialization import dumps
from selfheal.server.webhooks.url_policy import Policy

_CANCELLED: Final = "cancelled before it began"


class QueueFullError(Exception):
    """So many runs wait that another one would only wait in vain."""


class ThreadBusyError(Exception):
    """The thread has a run under way, and the caller wants no other beside it."""


class IdempotencyError(Exception):
    """The idempotency key was used for another request."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A run that a client asks for; `on_thread`: on a thread that stays."""

    order: Order
    on_thread: bool
    if_not_exists: IfNotExists = "reject"


class Taken(NamedTuple):
    """A run that was taken in: now, or before under the same idempotency key."""

    run_id: UUID
    thread_id: UUID


def body_sha256(body: Mapping[str, Any]) -> str:
    """Return what tells whether two bodies ask for the same."""
    return hashlib.sha256(dumps(dict(sorted(body.items()))).encode()).hexdigest()


class Intake:
    """Takes runs in and cancels them.

    Args:
        here: may execute in this process what it takes in.
        most_waiting: how many runs may wait for a process.
        webhooks: which addresses may be told of runs.
        quota: how much each tenant may have stored.
    """

    def __init__(
        self,
        database: Database,
        queue: Queue,
        here: Here,
        most_waiting: int,
        webhooks: Policy,
        quota: Quota,
    ) -> None:
        self._database = database
        self._queue = queue
        self._here = here
        self._most_waiting = most_waiting
        self.webhooks = webhooks
        self.quota = quota

    async def accept(self, *asked: Asked) -> list[Taken]:
        """Take runs in, all or none. From here on they are never lost.

        Raises:
            WebhookError: nobody may be told at the address that one names.
            NotFoundError: the tenant has no such thread.
            ThreadBusyError: the thread is busy, and the run was not to wait.
            IdempotencyError: the idempotency key was used for another request.
            QueueFullError: too many runs wait already.
            QuotaExceededError: the tenant has stored as much as it may.
            DatabaseError: Postgres cannot be reached or refused.
        """
        for each in asked:
            self.webhooks.check(each.order.kwargs.get("webhook"))
            await self.quota.check(each.order.tenant, A_RUN)
        async with self._here.slot() as slot:

            async def take_in(connection: Connection) -> list[Taken]:
                waiting = await claims.waiting(connection, self._most_waiting)
                if waiting >= self._most_waiting:
                    raise QueueFullError
                if slot:
                    slot.claim = None  # one of an attempt that was undone
                own = None if waiting else slot  # those that wait come first
                return [await self._accept(connection, each, own) for each in asked]

            return await self._database.run(take_in)

    async def _accept(self, connection: Connection, asked: Asked, slot: Slot | None) -> Taken:
        order = asked.order
        # Before anything else: a request that comes again must neither end the thread's runs, of
        # which the one it asks for may be one, nor make a thread.
        if order.idempotency_key is not None and (before := await _same(connection, order)):
            return before
        if asked.on_thread:
            await self._prepare_thread(connection, asked)
        accepted = await claims.accept(connection, order)
        assert accepted is not None  # noqa: S101 - nobody else asks under this key now
        if not accepted.behind:
            at = accepted.due_at if order.after_seconds else None
            if at or slot is None or not await slot.take(connection, order.id):
                await self._queue.send(connection, order.id, at)
        return Taken(order.id, order.thread_id)

    async def _prepare_thread(self, connection: Connection, asked: Asked) -> None:
        order = asked.order
        if asked.if_not_exists == "create":
            await threads.create(connection, order.thread_id, order.tenant, {})
        await threads.lock(connection, order.thread_id, order.tenant)
        # As LangGraph's server does, so that a thread can be searched for by its graph.
        graph = {"graph_id": order.assistant}
        await threads.annotate(connection, order.thread_id, order.tenant, graph)
        live = await claims.live(connection, order.thread_id)
        if live and order.multitask == "reject":
            raise ThreadBusyError(f"thread {order.thread_id} is busy: wait, or enqueue the run")
        if live and order.multitask in ("interrupt", "rollback"):
            for each in live:
                await self._cancel(connection, each, order.multitask)

    async def cancel(self, run_id: UUID, action: CancelAction) -> None:
        """Cancel a run; no effect on one that has ended.

        Raises:
            DatabaseError: Postgres cannot be reached or refused.
        """
        await self._database.run(lambda connection: self._cancel(connection, run_id, action))

    async def _cancel(self, connection: Connection, run_id: UUID, action: CancelAction) -> None:
        standing = await claims.ask_to_cancel(connection, run_id, action)
        if standing == "running":
            await run_events.tell_to_cancel(connection, run_id)
        if standing == "waiting":
            await webhook_outbox.put(connection, run_id)
            await runs.interrupt(connection, run_id, _CANCELLED)
            await let_next(connection, self._queue, run_id)
            if action == "rollback":
                await runs.delete(connection, run_id)


async def _same(connection: Connection, order: Order) -> Taken | None:
    """Return the run that was asked for before under this idempotency key.

    Others who ask under it wait until the transaction ends.

    Raises:
        IdempotencyError: it was asked for something else.
    """
    assert order.idempotency_key is not None  # noqa: S101 - the caller has looked
    before = await runs.of_key(connection, order.tenant, order.idempotency_key)
    if before is None:
        return None
    if not hmac.compare_digest(before.body_sha256 or "", order.body_sha256 or ""):
        raise IdempotencyError("this Idempotency-Key was used for another request")
    return Taken(before.id, before.thread_id)
