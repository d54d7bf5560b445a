"""Periodic work on stored runs: recovery of expired leases, and retention."""

import asyncio
import logging
from typing import Final

from selfheal.app.aio import periodic
from selfheal.db import claims, retention
from selfheal.db.claims import UnattendedRun
from selfheal.db.pool import Connection, Database
from selfheal.server.execution.queue import Queue
from selfheal.server.settings import ServerSettings

logger = logging.getLogger(__name__)

_RECOVERY_SECONDS: Final = 1.0
_SWEEP_SECONDS: Final = 30.0
_SILENT_SECONDS: Final = 120.0  # without a heartbeat, after which a worker's jobs are deleted
_RETENTION_SECONDS: Final = 300.0  # between two attempts to get this hour's turn


class LeaseRecovery:
    """Enqueues runs again whose lease has expired, or whose job was lost.

    It runs in every process that executes runs. A recovered run takes the same way as any other:
    a job, a claim, an executor that resumes it from its last checkpoint.
    """

    def __init__(self, database: Database, queue: Queue, lease: float) -> None:
        self._database = database
        self._queue = queue
        self._lease = lease
        self.recovered = 0

    async def run(self) -> None:
        """Recover runs, and delete the jobs of dead workers, until cancelled."""
        await asyncio.gather(
            periodic(self.recover, _RECOVERY_SECONDS, name="lease recovery"),
            periodic(self._sweep, _SWEEP_SECONDS, name="queue maintenance"),
        )

    async def recover(self) -> None:
        """Enqueue each unattended run once.

        Raises:
            DatabaseError: Postgres cannot be reached or refused.
        """

        async def enqueue(connection: Connection) -> list[UnattendedRun]:
            found = await claims.take_unattended(connection, self._lease)
            for run in found:
                await self._queue.send(connection, run.run_id)
            return found

        for run in await self._database.run(enqueue):
            if run.was_running:
                self.recovered += 1
                logger.warning("run %s re-enqueued: lease expired", run.run_id)

    async def _sweep(self) -> None:
        await self._queue.sweep(_SILENT_SECONDS)


class Retention:
    """Deletes what is older than the settings allow: once an hour, in one of the processes."""

    def __init__(self, database: Database, settings: ServerSettings) -> None:
        self._database = database
        self._settings = settings

    async def run(self) -> None:
        """Prune when it is this process's turn, until cancelled."""
        await periodic(self.prune, _RETENTION_SECONDS, name="retention", delay=_RETENTION_SECONDS)

    async def prune(self) -> None:
        """Prune, unless a process has done so within this hour.

        Raises:
            DatabaseError: Postgres cannot be reached or refused.
        """
        async with self._database.connection() as connection:
            if not await retention.take_turn(connection):
                return
        deleted = await retention.prune(
            self._database,
            runs_days=self._settings.retention_days,
            states_days=self._settings.state_retention_days,
        )
        if any(deleted.values()):
            counts = ", ".join(f"{count} {kind}" for kind, count in deleted.items() if count)
            logger.info("pruned: %s", counts)
