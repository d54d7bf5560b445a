"""Retention: deletes what is older than the settings allow."""

import logging
from typing import Final

from selfheal.app.aio import periodic
from selfheal.db import retention
from selfheal.db.pool import Database
from selfheal.server.settings import ServerSettings

logger = logging.getLogger(__name__)

_RETENTION_SECONDS: Final = 300.0  # between two attempts to get this hour's turn


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
