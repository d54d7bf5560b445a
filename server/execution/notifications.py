"""Notifications of Postgres about runs, and waiting for runs with them."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Final
from uuid import UUID

import psycopg
from psycopg import sql

from selfheal.app.aio import periodic, stop
from selfheal.db import run_events, runs, sessions
from selfheal.db.errors import DatabaseUnavailableError, NotFoundError
from selfheal.db.pool import Database
from selfheal.db.run_events import Event
from selfheal.db.runs import Run

RUNS: Final = "selfheal_runs"
CANCELS: Final = "selfheal_cancels"

_RECONNECT_SECONDS: Final = 0.5
_POLL_SECONDS: Final = 2.0  # for notifications that are late or lost
_LIVE: Final = ("pending", "running")


class Notifications:
    """Dispatches notifications of Postgres. Delivery is best effort: waiters must also poll."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def subscribe(self, channel: str, name: object) -> Iterator[asyncio.Event]:
        """Yield an event that is set by each notification; clear it before reading the database."""
        key, event = (channel, str(name)), asyncio.Event()
        self._waiting[key].add(event)
        try:
            yield event
        finally:
            self._waiting[key].discard(event)
            if not self._waiting[key]:
                del self._waiting[key]

    def notify(self, channel: str, name: str) -> None:
        """Wake the subscribers of one name."""
        for event in self._waiting.get((channel, name), ()):
            event.set()

    def notify_all(self) -> None:
        """Wake all subscribers: a notification may have been missed."""
        for events in self._waiting.values():
            for event in events:
                event.set()

    async def listen(self, url: str) -> None:
        """Listen on a connection of its own until it is lost."""
        async with await sessions.connect(url) as connection:
            for channel in (RUNS, CANCELS):
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            self.notify_all()
            async for notice in connection.notifies():
                self.notify(notice.channel, notice.payload)


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[Notifications]:
    """Listen beside the body, on a new connection where one was lost."""
    notifications = Notifications()
    listen = periodic(
        partial(notifications.listen, url),
        _RECONNECT_SECONDS,
        name="listening for notifications",
        transient=(psycopg.Error, OSError),
    )
    task = asyncio.create_task(listen)
    try:
        yield notifications
    finally:
        await stop(task)


class RunWaiter:
    """Waits for runs and reads their events from Postgres, whichever process executes them."""

    def __init__(self, database: Database, notifications: Notifications) -> None:
        self._database = database
        self._notifications = notifications

    async def ended(self, run_id: UUID) -> Run | None:
        """Wait until a run has ended; return None if it was rolled back or deleted."""
        with self._notifications.subscribe(RUNS, run_id) as notified:
            while True:
                notified.clear()
                with contextlib.suppress(DatabaseUnavailableError):
                    run = await self._run(run_id)
                    if run is None or run.status not in _LIVE:
                        return run
                await _next(notified)

    async def events(self, run_id: UUID, after: int) -> AsyncIterator[Event]:
        """Yield a run's events with numbers above `after` until it has ended."""
        with self._notifications.subscribe(RUNS, run_id) as notified:
            while True:
                notified.clear()
                try:
                    found, ended = await self._read(run_id, after)
                except DatabaseUnavailableError:
                    await asyncio.sleep(_RECONNECT_SECONDS)
                    continue
                for event in found:
                    yield event
                    after = event.seq
                if not found:
                    if ended:
                        return
                    await _next(notified)

    async def _read(self, run_id: UUID, after: int) -> tuple[list[Event], bool]:
        """Return the next events, and whether the run had ended before they were read."""
        async with self._database.connection() as connection:
            if found := await run_events.after(connection, run_id, after):
                return found, False
        run = await self._run(run_id)
        if run is not None and run.status in _LIVE:
            return [], False
        async with self._database.connection() as connection:
            # Events that were stored between the two queries.
            late = await run_events.after(connection, run_id, after)
        return late, not late

    async def _run(self, run_id: UUID) -> Run | None:
        try:
            async with self._database.connection() as connection:
                return await runs.get(connection, run_id)
        except NotFoundError:
            return None


async def _next(notified: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_POLL_SECONDS):
            await notified.wait()
