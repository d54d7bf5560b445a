"""Sending somebody to runs whose process died. It runs in every process that executes runs."""

import asyncio
import logging
from typing import Final

from selfheal.db import claims
from selfheal.db.claims import Forsaken
from selfheal.db.errors import DatabaseError
from selfheal.db.pool import Connection, Database
from selfheal.server.execution.queue import Queue

logger = logging.getLogger(__name__)

_EVERY: Final = 1.0  # seconds
_SWEEPS: Final = 30  # looks between two sweeps of the queue
_SILENT: Final = 120.0  # seconds without a sign of life until a worker's jobs are forgotten


class Reaper:
    """Looks for runs that were forsaken."""

    def __init__(self, database: Database, queue: Queue, lease: float) -> None:
        self._database = database
        self._queue = queue
        self._lease = lease
        self.recovered = 0

    async def run(self) -> None:
        """Look until cancelled."""
        looks = 0
        while True:
            try:
                await self.look()
                if looks % _SWEEPS == 0:
                    await self._queue.sweep(_SILENT)
                looks += 1
            except DatabaseError as error:
                logger.warning("forsaken runs could not be looked for: %s", error)
            except Exception:
                logger.exception("looking for forsaken runs broke")
            await asyncio.sleep(_EVERY)

    async def look(self) -> None:
        """Send somebody to each forsaken run, once.

        Raises:
            DatabaseError: Postgres cannot be reached or refused.
        """

        async def send(connection: Connection) -> list[Forsaken]:
            found = await claims.forsaken(connection, self._lease)
            for each in found:
                await self._queue.send(connection, each.run_id)
            return found

        for run in await self._database.run(send):
            if run.was_running:
                self.recovered += 1
                logger.warning("run %s goes on: its process fell silent", run.run_id)
