"""Recovery of runs: expired leases and lost jobs."""

import asyncio
import logging
from typing import Final

from selfheal.app.aio import periodic
from selfheal.db import claims
from selfheal.db.claims import UnattendedRun
from selfheal.db.pool import Connection, Database
from selfheal.server.execution.queue import Queue

logger = logging.getLogger(__name__)

_RECOVERY_SECONDS: Final = 1.0
_SWEEP_SECONDS: Final = 30.0
_SILENT_SECONDS: Final = 120.0  # without a heartbeat, after which a worker's jobs are deleted


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
