"""Waiting for runs and reading what they stream, wherever they are executed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

from selfheal.db import run_events, runs
from selfheal.db.errors import DatabaseUnavailableError, NotFoundError
from selfheal.db.pool import Database
from selfheal.db.run_events import Event
from selfheal.db.runs import Run
from selfheal.server.execution.notifications import RUNS, News

_LOOK_AGAIN: Final = 2.0  # seconds; where news are late or lost
_POSTGRES_AGAIN: Final = 0.5
_LIVE: Final = ("pending", "running")


class Follower:
    """Follows runs by what Postgres holds of them."""

    def __init__(self, database: Database, news: News) -> None:
        self._database = database
        self._news = news

    async def end_of(self, run_id: UUID) -> Run | None:
        """Wait until a run has ended; None if it was taken back or deleted."""
        with self._news.of(RUNS, run_id) as news:
            while True:
                news.clear()
                with contextlib.suppress(DatabaseUnavailableError):
                    run = await self._run(run_id)
                    if run is None or run.status not in _LIVE:
                        return run
                await _next(news)

    async def events_of(self, run_id: UUID, after: int) -> AsyncIterator[Event]:
        """Yield a run's events behind number `after` until it has ended."""
        with self._news.of(RUNS, run_id) as news:
            while True:
                news.clear()
                try:
                    found, ended = await self._look(run_id, after)
                except DatabaseUnavailableError:
                    await asyncio.sleep(_POSTGRES_AGAIN)
                    continue
                for event in found:
                    yield event
                    after = event.seq
                if not found:
                    if ended:
                        return
                    await _next(news)

    async def _look(self, run_id: UUID, after: int) -> tuple[list[Event], bool]:
        """Return the next events, and whether the run had ended before they were read."""
        async with self._database.connection() as connection:
            if found := await run_events.after(connection, run_id, after):
                return found, False
        run = await self._run(run_id)
        if run is not None and run.status in _LIVE:
            return [], False
        async with self._database.connection() as connection:
            # What was written between the two looks.
            late = await run_events.after(connection, run_id, after)
        return late, not late

    async def _run(self, run_id: UUID) -> Run | None:
        try:
            async with self._database.connection() as connection:
                return await runs.get(connection, run_id)
        except NotFoundError:
            return None


async def _next(news: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LOOK_AGAIN):
            await news.wait()
