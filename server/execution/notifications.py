"""Being woken when something happens to a run, whichever process it happens in."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import psycopg
from psycopg import sql

from selfheal.app.aio import stop
from selfheal.db import sessions

logger = logging.getLogger(__name__)

RUNS: Final = "selfheal_runs"
CANCELS: Final = "selfheal_cancels"
_AGAIN: Final = 0.5


class News:
    """What Postgres notifies of. It may be late or lost: whoever waits looks again by itself."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def of(self, channel: str, name: object) -> Iterator[asyncio.Event]:
        """Yield an event that is set at each piece of news; clear it before looking."""
        key, event = (channel, str(name)), asyncio.Event()
        self._waiting[key].add(event)
        try:
            yield event
        finally:
            self._waiting[key].discard(event)
            if not self._waiting[key]:
                del self._waiting[key]

    def wake(self, channel: str, name: str) -> None:
        """Wake those who wait for this."""
        for event in self._waiting.get((channel, name), ()):
            event.set()

    def wake_all(self) -> None:
        """Wake everybody: something may have been missed."""
        for events in self._waiting.values():
            for event in events:
                event.set()

    async def listen(self, url: str) -> None:
        """Listen until cancelled, on a connection of its own."""
        while True:
            try:
                await self._listen(url)
            except (psycopg.Error, OSError) as error:
                logger.warning("notifications cannot be had: %s", str(error).split("\n")[0])
            await asyncio.sleep(_AGAIN)

    async def _listen(self, url: str) -> None:
        async with await sessions.connect(url) as connection:
            for channel in (RUNS, CANCELS):
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            self.wake_all()
            async for notice in connection.notifies():
                self.wake(notice.channel, notice.payload)


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[News]:
    """Listen beside the body."""
    news = News()
    task = asyncio.create_task(news.listen(url))
    try:
        yield news
    finally:
        await stop(task)
