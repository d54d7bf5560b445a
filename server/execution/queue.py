"""Sending a process to a run: procrastinate's jobs on the same Postgres.

A job only says "look at this run". Who executes it is decided by its claim, so a job too many
does nothing, and a job that was lost is sent again by the reaper.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import procrastinate
from procrastinate import exceptions
from psycopg.errors import UniqueViolation

from selfheal.db import sessions
from selfheal.db.errors import DatabaseError, translate
from selfheal.db.pool import RECONNECT_SECONDS, CancellablePool, Connection
from selfheal.db.sessions import CONNECT

logger = logging.getLogger(__name__)

_NAME: Final = "runs"
_LOOK_EVERY: Final = 1.0  # seconds; for jobs whose time comes, and where notifications are lost
_AGAIN: Final = 0.5  # seconds between two attempts to reach Postgres

Execute = Callable[[UUID], Awaitable[None]]


class Queue:
    """Sends processes to runs, and has this one sent."""

    def __init__(self, app: procrastinate.App) -> None:
        self._app = app
        self._execute: Execute | None = None
        self._task = app.task(name="selfheal.execute", queue=_NAME)(self._job)

    async def _job(self, run_id: str) -> None:
        assert self._execute is not None  # noqa: S101 - work() has set it
        await self._execute(UUID(run_id))

    async def send(self, connection: Connection, run_id: UUID, at: datetime | None = None) -> None:
        """Have some process look at a run, at a time or at once, when the transaction ends.

        Raises:
            DatabaseError: Postgres cannot be reached or refused.
        """
        job = self._task.configure(connection=connection, queueing_lock=str(run_id), schedule_at=at)
        try:
            async with connection.transaction():
                await job.defer_async(run_id=str(run_id))
        except exceptions.AlreadyEnqueued:
            return
        except AssertionError as error:
            # Where the server speaks another language than English, procrastinate cannot read
            # which value was there already; of the job there is only this one that can be.
            if not isinstance(error.__context__, UniqueViolation):
                raise
        except exceptions.ConnectorException as error:
            raise _ours(error) from error

    async def work(self, execute: Execute, concurrency: int, grace: float) -> None:
        """Execute what this process is sent to, until cancelled; then wait for what is under way.

        After `grace` seconds of waiting the rest is cancelled.
        """
        self._execute = execute
        while True:
            try:
                await self._app.run_worker_async(
                    queues=[_NAME],
                    concurrency=concurrency,
                    fetch_job_polling_interval=_LOOK_EVERY,
                    shutdown_graceful_timeout=grace,
                    delete_jobs="always",
                    install_signal_handlers=False,
                )
            except (exceptions.ConnectorException, DatabaseError) as error:
                logger.warning("the queue's worker stopped: %s", _ours(error))
            except Exception:
                logger.exception("the queue's worker broke")
            if (task := asyncio.current_task()) and task.cancelling():
                raise asyncio.CancelledError  # its farewell failed, and the error hid this one
            await asyncio.sleep(_AGAIN)

    async def sweep(self, silent_for: float) -> None:
        """Forget the jobs of workers that have been silent for so many seconds.

        Raises:
            DatabaseError: Postgres cannot be reached or refused.
        """
        jobs = self._app.job_manager
        try:
            for job in await jobs.get_stalled_jobs(seconds_since_heartbeat=silent_for):
                failed = procrastinate.jobs.Status.FAILED
                with contextlib.suppress(exceptions.ConnectorException):
                    await jobs.finish_job(job, failed, delete_job=True)
            await jobs.prune_stalled_workers(silent_for)
        except exceptions.ConnectorException as error:
            raise _ours(error) from error


def _ours(error: Exception) -> DatabaseError:
    """Return what a queue's error says of the database: procrastinate's own says nothing."""
    return translate(error.__cause__ or error)


@asynccontextmanager
async def open_queue(url: str) -> AsyncIterator[Queue]:
    """Open the queue on connections of its own: one of them listens, and may not be a pooler's."""
    settings: dict[str, Any] = {
        "min_size": 1,
        "max_size": 4,
        # Who waits for longer than the pool tries is served by nobody.
        "timeout": RECONNECT_SECONDS,
        "reconnect_timeout": RECONNECT_SECONDS,
        "kwargs": {name: CONNECT[name] for name in ("connect_timeout", "client_encoding")},
        "configure": sessions.pin,
    }
    connector = procrastinate.PsycopgConnector(
        conninfo=url, pool_factory=CancellablePool, **settings
    )
    app = procrastinate.App(connector=connector)
    async with app.open_async():
        yield Queue(app)
