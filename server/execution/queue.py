"""Jobs by which a process finds the runs that wait: procrastinate on the same Postgres.

Which process executes a run is decided by its claim, so a surplus job does nothing, and a lost one
is sent again by the recovery of expired leases.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

import procrastinate
from procrastinate import exceptions
from psycopg.errors import UniqueViolation

from selfheal.app.aio import periodic
from selfheal.db import sessions
from selfheal.db.errors import DatabaseError, translate
from selfheal.db.pool import RECONNECT_SECONDS, CancellablePool, Connection
from selfheal.db.sessions import CONNECT

_NAME: Final = "runs"
_POLL_SECONDS: Final = 1.0  # for jobs that become due, and where notifications are lost
_RESTART_SECONDS: Final = 0.5

Execute = Callable[[UUID], Awaitable[None]]


class Queue:
    """Sends jobs, and executes those that reach this process."""

    def __init__(self, app: procrastinate.App) -> None:
        self._app = app
        self._execute: Execute | None = None
        self._task = app.task(name="selfheal.execute", queue=_NAME)(self._job)

    async def _job(self, run_id: str) -> None:
        assert self._execute is not None  # noqa: S101 - work() has set it
        await self._execute(UUID(run_id))

    async def send(self, connection: Connection, run_id: UUID, at: datetime | None = None) -> None:
        """Send a job for a run when the transaction ends.

        Args:
            connection: to the database.
            run_id: the run.
            at: when the job is due; None for at once.

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
            # Where the server's messages are not in English, procrastinate cannot read which
            # constraint was violated; for this insert there is only one.
            if not isinstance(error.__context__, UniqueViolation):
                raise
        except exceptions.ConnectorException as error:
            raise _translated(error) from error

    async def work(self, execute: Execute, concurrency: int, grace: float) -> None:
        """Execute jobs until cancelled, then wait for those in flight.

        Args:
            execute: called with the id of each run.
            concurrency: how many at once.
            grace: seconds that jobs in flight are given when this is cancelled.
        """
        self._execute = execute
        worker = partial(self._run_worker, concurrency, grace)
        await periodic(worker, _RESTART_SECONDS, name="the queue's worker")

    async def _run_worker(self, concurrency: int, grace: float) -> None:
        try:
            await self._app.run_worker_async(
                queues=[_NAME],
                concurrency=concurrency,
                fetch_job_polling_interval=_POLL_SECONDS,
                shutdown_graceful_timeout=grace,
                delete_jobs="always",
                install_signal_handlers=False,
            )
        except exceptions.ConnectorException as error:
            raise _translated(error) from error

    async def sweep(self, silent_for: float) -> None:
        """Delete the jobs of workers without a heartbeat for so many seconds.

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
            raise _translated(error) from error


def _translated(error: Exception) -> DatabaseError:
    """Return the database's error behind one of procrastinate's, whose message is empty."""
    return translate(error.__cause__ or error)


@asynccontextmanager
async def open_queue(url: str) -> AsyncIterator[Queue]:
    """Open the queue on connections of its own: one listens, so it must not be a pooler's.

    Args:
        url: the server's own address.
    """
    settings: dict[str, Any] = {
        "min_size": 1,
        "max_size": 4,
        # A caller that waits longer than the pool tries to connect would wait in vain.
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
