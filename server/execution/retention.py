"""Pruning once an hour, in one process of however many."""

import asyncio
import logging
from typing import Final

from selfheal.db import retention
from selfheal.db.errors import DatabaseError
from selfheal.db.pool import Database
from selfheal.server.settings import ServerSettings

logger = logging.getLogger(__name__)

_EVERY: Final = 300.0  # seconds between two looks at whose turn it is


class Pruner:
    """Forgets what is older than the settings say."""

    def __init__(self, database: Database, settings: ServerSettings) -> None:
        self._database = database
        self._settings = settings

    async def run(self) -> None:
        """Look whether it is this process's turn, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY)
            try:
                await self.look()
            except DatabaseError as error:
                logger.warning("nothing could be pruned: %s", error)
            except Exception:
                logger.exception("pruning broke")

    async def look(self) -> None:
        """Prune, if no process has within this hour.

        Raises:
            DatabaseError: Postgres cannot be reached or refused.
        """
        async with self._database.connection() as connection:
            if not await retention.take_turn(connection):
                return
        found = await retention.prune(
            self._database,
            runs_days=self._settings.retention_days,
            states_days=self._settings.state_retention_days,
        )
        if any(found.values()):
            told = ", ".join(f"{count} {kind}" for kind, count in found.items() if count)
            logger.info("pruned: %s", told)
