"""Runs that come by a schedule: what is planned, and what is taken in when its time has come."""

import asyncio
import logging
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from fastapi.exceptions import RequestValidationError

from selfheal.db import crons
from selfheal.db.api_keys import SCOPES
from selfheal.db.crons import Cron, Plan
from selfheal.db.errors import DatabaseError, DatabaseUnavailableError, NotFoundError
from selfheal.db.pool import Database
from selfheal.server.api.schemas.create import RunCreate
from selfheal.server.api.schemas.crons import CronCreate
from selfheal.server.auth.api_keys import Caller
from selfheal.server.auth.storage_quota import QuotaExceededError
from selfheal.server.cron_schedule import ScheduleError, next_date
from selfheal.server.execution.requests import asked_for
from selfheal.server.execution.submit import (
    Asked,
    IdempotencyError,
    Intake,
    QueueFullError,
    ThreadBusyError,
)
from selfheal.server.webhooks.url_policy import WebhookError

logger = logging.getLogger(__name__)

_EVERY: Final = 2.0  # seconds between two looks at what is due
_AT_ONCE: Final = 100  # crons a look

_LEFT_OUT: Final = (
    IdempotencyError,  # its run was taken in, and the cron changed since
    NotFoundError,
    QuotaExceededError,
    RequestValidationError,
    ThreadBusyError,
    WebhookError,
)


def planned(
    body: CronCreate, caller: Caller, cron_id: UUID, thread_id: UUID | None, now: datetime
) -> Plan:
    """Return what a body asks for, its run such as would be taken in now.

    Raises:
        UnknownAssistantError: there is no such graph.
        NotAllowedError: the caller may not run it.
        RequestValidationError: the input is not what the graph takes.
    """
    asked = asked_for(body, caller, thread_id=thread_id)
    return Plan(
        id=cron_id,
        tenant=caller.tenant,
        key_id=caller.key_id,
        assistant=asked.order.assistant,
        thread_id=thread_id,
        schedule=body.schedule,
        timezone=body.timezone,
        payload=body.run(),
        metadata=body.metadata,
        on_run_completed=None if thread_id else body.on_run_completed or "delete",
        enabled=body.enabled,
        end_time=body.end_time,
        next_run_at=_next(body, now),
    )


def _next(plan: CronCreate | Cron, after: datetime) -> datetime | None:
    """Return when a run comes next, None if it comes no more."""
    found = next_date(plan.schedule, plan.timezone, after)
    return None if plan.end_time and found > plan.end_time else found


class Repeater:
    """Takes in the runs of crons when their time has come.

    Each date brings one run however many processes look, and wherever one is killed: the date is
    the run's idempotency key. Dates that nobody was there for bring one run together.
    """

    def __init__(self, database: Database, intake: Intake) -> None:
        self._database = database
        self._intake = intake

    async def run(self) -> None:
        """Look for crons whose time has come, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY)
            try:
                await self.look()
            except DatabaseError as error:
                logger.warning("crons must wait for Postgres: %s", error)
            except Exception:
                logger.exception("looking for crons broke")

    async def look(self) -> None:
        """Take in what is due.

        Raises:
            DatabaseError: Postgres cannot be reached or refused.
        """
        async with self._database.connection() as connection:
            due = await crons.due(connection, _AT_ONCE)
        for cron in due:
            try:
                await self._take_in(cron)
            except QueueFullError:
                logger.warning("crons wait: the queue is full")
                return
            await self._advance(cron)

    async def _take_in(self, cron: Cron) -> None:
        try:
            await self._intake.accept(_asked(cron))
        except (DatabaseUnavailableError, QueueFullError):
            raise
        except _LEFT_OUT as error:
            logger.warning("cron %s brought no run: %s", cron.id, error)
        except Exception:  # the others' time has come too
            logger.exception("cron %s brought no run", cron.id)

    async def _advance(self, cron: Cron) -> None:
        async with self._database.connection() as connection:
            try:
                next_run_at = _next(cron, await crons.now(connection))
            except ScheduleError as error:  # another version of what reads it, or of the timezones
                logger.warning("cron %s comes no more: %s", cron.id, error)
                next_run_at = None
            await crons.advance(connection, cron, next_run_at)


def _asked(cron: Cron) -> Asked:
    body = RunCreate.model_validate({**cron.payload, "metadata": cron.metadata})
    if cron.on_run_completed == "keep":
        body.on_completion = "keep"
    # What its key may was looked at when it was made; a key's scopes never change.
    caller = Caller(cron.tenant, frozenset(SCOPES), cron.key_id)
    assert cron.next_run_at is not None  # noqa: S101 - it is due
    date = f"cron:{cron.id}:{cron.next_run_at.timestamp():.0f}"
    asked = asked_for(body, caller, thread_id=cron.thread_id, key=date, streamed=False)
    metadata = {**asked.order.metadata, "cron_id": str(cron.id)}
    return replace(asked, order=replace(asked.order, metadata=metadata))
