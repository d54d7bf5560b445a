"""Delivery of webhooks: with retries, by every process that executes runs."""

import asyncio
import logging
import random
from datetime import UTC, datetime
from typing import Any, Final

from selfheal.app.aio import periodic, stop
from selfheal.db import runs, webhook_outbox
from selfheal.db.errors import DatabaseError, NotFoundError
from selfheal.db.pool import Database
from selfheal.db.runs import Failure, Run
from selfheal.db.webhook_outbox import PendingWebhook
from selfheal.server.serialization import dumps, run_document
from selfheal.server.webhooks.sender import Attempt, WebhookSender

logger = logging.getLogger(__name__)

_POLL_SECONDS: Final = 1.0
_CONCURRENCY: Final = 16
_SHARE: Final = 4  # webhooks of one tenant in flight, in all processes
_LEASE: Final = 30.0  # seconds; more than an attempt can take
_GRACE: Final = 5.0  # seconds that attempts in flight are given when the process is stopped
_MOST_ATTEMPTS: Final = 10
_FIRST_WAIT: Final = 5.0  # seconds; each wait is four times as long as the one before
_LONGEST_WAIT: Final = 7200.0  # seconds, so all attempts take about eight hours


class WebhookDelivery:
    """Delivers webhooks: at least once, in no particular order."""

    def __init__(self, database: Database, sender: WebhookSender) -> None:
        self._database = database
        self._sender = sender
        self._in_flight: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Deliver until cancelled. Without a key to sign with, nothing is sent."""
        if not self._sender.keys:
            return
        try:
            await periodic(self.start_due, _POLL_SECONDS, name="delivery of webhooks")
        finally:
            await self._stop()

    async def start_due(self) -> None:
        """Start an attempt for each webhook that is due, as far as there are free slots.

        Raises:
            DatabaseError: Postgres cannot be reached or refused.
        """
        if not (free := _CONCURRENCY - len(self._in_flight)):
            return
        async with self._database.connection() as connection:
            due = await webhook_outbox.claim(connection, limit=free, share=_SHARE, lease=_LEASE)
        for webhook in due:
            task = asyncio.create_task(self._deliver(webhook))
            self._in_flight.add(task)
            task.add_done_callback(self._in_flight.discard)

    async def drain(self) -> None:
        """Wait for the attempts in flight."""
        await asyncio.gather(*self._in_flight)

    async def _stop(self) -> None:
        """Let attempts end. The others are repeated by another process when their lease expires."""
        if self._in_flight:
            _, late = await asyncio.wait(self._in_flight, timeout=_GRACE)
            await stop(*late)

    async def _deliver(self, webhook: PendingWebhook) -> None:
        try:
            async with self._database.connection() as connection:
                run = await runs.get(connection, webhook.run_id)
            attempt = await self._sender.post(webhook.url, str(run.id), _body(run, webhook))
            await self._settle(webhook, attempt)
        except NotFoundError:  # the run was deleted
            return
        except DatabaseError as error:
            logger.warning("the webhook of run %s will be retried: %s", webhook.run_id, error)
        except Exception:
            logger.exception("the webhook of run %s failed", webhook.run_id)

    async def _settle(self, webhook: PendingWebhook, attempt: Attempt) -> None:
        last = webhook.attempt >= _MOST_ATTEMPTS
        async with self._database.connection() as connection:
            if attempt.result == "delivered":
                await webhook_outbox.settle(connection, webhook, "delivered")
            elif attempt.result == "retry" and not last:
                after = wait_before(webhook.attempt + 1, attempt.after)
                await webhook_outbox.settle(
                    connection, webhook, "waiting", error=attempt.error, after=after
                )
            else:
                await webhook_outbox.settle(connection, webhook, "dead", error=attempt.error)
                given_up = (webhook.run_id, webhook.attempt, attempt.error)
                logger.warning("the webhook of run %s was given up at attempt %d: %s", *given_up)


def wait_before(attempt: int, retry_after: float = 0.0) -> float:
    """Return how many seconds to wait before the n-th attempt, from the second on.

    Args:
        attempt: the number of the attempt, from 2.
        retry_after: the least wait that the receiver requests, in seconds.
    """
    backoff = min(_LONGEST_WAIT, _FIRST_WAIT * 4.0 ** (attempt - 2))
    return max(min(retry_after, _LONGEST_WAIT), backoff * random.uniform(0.8, 1.2))  # noqa: S311


def _body(run: Run, webhook: PendingWebhook) -> bytes:
    """Return the run, its last state and its failure, as LangGraph's server sends them."""
    document: dict[str, Any] = {
        **run_document(run),
        "created_at": _iso(run.created_at),
        "updated_at": _iso(run.updated_at or run.created_at),
        "run_started_at": webhook.started_at,
        "run_ended_at": run.finished_at,
        "webhook_sent_at": datetime.now(UTC).isoformat(),
        "values": webhook.values,
    }
    if failure := run.failure or _cancellation(run):
        document["error"] = failure
    return dumps(document).encode()


def _iso(moment: datetime) -> str:
    """Return a time of the database, which is in UTC, as answers have it."""
    return moment.isoformat().replace("+00:00", "Z")


def _cancellation(run: Run) -> Failure | None:
    if run.status == "interrupted" and run.message:
        return Failure(error="cancelled", message=run.message)
    return None
