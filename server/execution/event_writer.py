"""Writing down what a run streams, in batches, as long as the run is ours."""

import asyncio
from functools import partial
from typing import Any, Final

from selfheal.app.aio import stop
from selfheal.db import claims, run_events
from selfheal.db.claims import Claim
from selfheal.db.pool import Connection, Database
from selfheal.server.serialization import dumps

_MOST_AT_ONCE: Final = 500


class Tape:
    """Writes a run's events in their order. Nothing is told before it is written.

    Args:
        wanted: whether anybody asked for events; if not, nothing is written.
    """

    def __init__(self, database: Database, claim: Claim, *, wanted: bool) -> None:
        self._database = database
        self._claim = claim
        self._wanted = wanted
        self._last = claim.last_event
        self._new: list[tuple[str, str]] = []
        self._writing: asyncio.Task[None] | None = None

    def tell(self, event: str, data: Any) -> None:
        """Write an event soon.

        Raises:
            DatabaseError: an earlier one could not be written.
        """
        if not self._wanted:
            return
        self._new.append((event, dumps(data)))
        if self._writing is None or self._writing.done():
            if self._writing is not None:
                self._writing.result()
            self._writing = asyncio.create_task(self._write())

    async def flush(self) -> None:
        """Wait until all is written.

        Raises:
            ClaimLostError: the run is another's now.
            DatabaseError: Postgres cannot be reached or refused.
        """
        if self._writing is not None:
            await self._writing
        if self._new:
            await self._write()

    async def _write(self) -> None:
        while self._new:
            batch, self._new = self._new[:_MOST_AT_ONCE], self._new[_MOST_AT_ONCE:]
            await self._database.run(partial(self._append, batch))
            self._last += len(batch)

    async def _append(self, batch: list[tuple[str, str]], connection: Connection) -> None:
        await claims.hold(connection, self._claim)
        await run_events.append(connection, self._claim.id, self._last, batch)

    async def stop(self) -> None:
        """Write no more. What was not flushed may be lost; another process would tell it again."""
        if self._writing is not None:
            await stop(self._writing)
