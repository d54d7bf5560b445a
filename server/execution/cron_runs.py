"""Submitting the runs of crons when they are due."""

import logging
from dataclasses import replace
from typing import Any, Final

from langsmith import uuid7

from selfheal.app.aio import periodic
from selfheal.db import crons
from selfheal.db.crons import Cron
from selfheal.db.errors import DatabaseUnavailableError, NotFoundError
from selfheal.db.pool import Database
from selfheal.db.run_requests import RunOptions, RunRequest
from selfheal.server.auth.limits import QuotaExceededError
from selfheal.server.cron_schedule import ScheduleError, next_run_at
from selfheal.server.execution.submit import (
    IdempotencyError,
    QueueFullError,
    RunSubmitter,
    ThreadBusyError,
)
from selfheal.server.webhooks.url_policy import WebhookError

logger = logging.getLogger(__name__)

_POLL_SECONDS: Final = 2.0
_BATCH: Final = 100  # crons that are read at once

_SKIPPED: Final = (
    IdempotencyError,  # the run of this date was submitted, and the cron changed since
    NotFoundError,
    QuotaExceededError,
    ThreadBusyError,
    WebhookError,
)


class CronRunner:
    """Submits the runs of crons when they are due.

    Each date leads to one run, however many processes poll and wherever one is killed: the date is
    the run's idempotency key. Missed dates are coalesced into a single run.
    """

    def __init__(self, database: Database, submitter: RunSubmitter) -> None:
        self._database = database
        self._submitter = submitter

    async def run(self) -> None:
        """Submit the runs of due crons until cancelled."""
        await periodic(self.submit_due, _POLL_SECONDS, name="crons", delay=_POLL_SECONDS)

    async def submit_due(self) -> None:
        """Submit the run of each due cron.

        Raises:
            DatabaseError: Postgres cannot be reached or refused.
        """
        async with self._database.connection() as connection:
            due = await crons.due(connection, _BATCH)
        for cron in due:
            try:
                await self._submit(cron)
            except QueueFullError:
                logger.warning("crons wait: the queue is full")
                return
            await self._advance(cron)

    async def _submit(self, cron: Cron) -> None:
        try:
            await self._submitter.submit(cron_run(cron))
        except (DatabaseUnavailableError, QueueFullError):
            raise
        except _SKIPPED as error:
            logger.warning("cron %s: no run was submitted: %s", cron.id, error)
        except Exception:  # the other crons are due too
            logger.exception("cron %s: no run was submitted", cron.id)

    async def _advance(self, cron: Cron) -> None:
        async with self._database.connection() as connection:
            try:
                now = await crons.now(connection)
                following = next_run_at(cron.schedule, cron.timezone, now, cron.end_time)
            except ScheduleError as error:  # accepted by another version, or of other timezones
                logger.warning("cron %s has no next run: %s", cron.id, error)
                following = None
            await crons.advance(connection, cron, following)


def cron_run(cron: Cron) -> RunRequest:
    """Return the run of a due cron.

    What its key allows was checked when the cron was stored; the scopes of a key never change.
    """
    assert cron.next_run_at is not None  # noqa: S101 - it is due
    options = RunOptions.parse(cron.payload)
    keep = cron.thread_id is not None or "keep" in (cron.on_run_completed, options.on_completion)
    return RunRequest(
        id=uuid7(),
        thread_id=cron.thread_id or uuid7(),
        assistant=cron.assistant,
        options=replace(
            options,
            input=_without_nulls(options.input),
            on_completion="keep" if cron.on_run_completed == "keep" else options.on_completion,
            temporary=not keep,
        ),
        tenant=cron.tenant,
        metadata={**cron.metadata, "cron_id": str(cron.id)},
        multitask=cron.payload.get("multitask_strategy") or "enqueue",
        after_seconds=cron.payload.get("after_seconds") or 0.0,
        create_thread=cron.thread_id is None or cron.payload.get("if_not_exists") == "create",
        idempotency_key=f"cron:{cron.id}:{cron.next_run_at.timestamp():.0f}",
    )


def _without_nulls(value: Any) -> Any:
    """Return a stored input as graphs take it: a key without a value is absent, not null."""
    if isinstance(value, dict):
        return {key: _without_nulls(part) for key, part in value.items() if part is not None}
    return [_without_nulls(part) for part in value] if isinstance(value, list) else value
