"""Telling of ended runs until it was heard or given up. It runs wherever runs are executed."""

import asyncio
import logging
import random
from datetime import UTC, datetime
from typing import Any, Final

from selfheal.app.aio import stop
from selfheal.db import runs, webhook_outbox
from selfheal.db.errors import DatabaseError, NotFoundError
from selfheal.db.pool import Database
from selfheal.db.runs import Run
from selfheal.db.webhook_outbox import Letter
from selfheal.server.api.schemas.langgraph import RunWire
from selfheal.server.serialization import dumps
from selfheal.server.webhooks.sender import Attempt, Poster

logger = logging.getLogger(__name__)

_EVERY: Final = 1.0  # seconds
_AT_ONCE: Final = 16
_SHARE: Final = 4  # of one tenant, in all processes
_LEASE: Final = 30.0  # seconds; more than an attempt can take
_AT_THE_END: Final = 5.0  # seconds that attempts under way get when we are told to stop
_MOST_ATTEMPTS: Final = 10
_FIRST_WAIT: Final = 5.0  # seconds; each is four times as long as the one before
_LONGEST_WAIT: Final = 7200.0  # seconds, so all attempts take about eight hours


class Deliverer:
    """Tells of ended runs: at least once, in no particular order."""

    def __init__(self, database: Database, poster: Poster) -> None:
        self._database = database
        self._poster = poster
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Look for what is due until cancelled. Without a key to sign with, nothing is told."""
        if not self._poster.keys:
            return
        try:
            while True:
                try:
                    await self.look()
                except DatabaseError as error:
                    logger.warning("webhooks could not be looked for: %s", error)
                except Exception:
                    logger.exception("looking for webhooks broke")
                await asyncio.sleep(_EVERY)
        finally:
            await self._stop()

    async def look(self) -> None:
        """Begin to tell what is due.

        Raises:
            DatabaseError: Postgres cannot be reached or refused.
        """
        if not (free := _AT_ONCE - len(self._under_way)):
            return
        async with self._database.connection() as connection:
            due = await webhook_outbox.claim(connection, limit=free, share=_SHARE, lease=_LEASE)
        for letter in due:
            task = asyncio.create_task(self._deliver(letter))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def rest(self) -> None:
        """Wait until all that was begun is over."""
        await asyncio.gather(*self._under_way)

    async def _stop(self) -> None:
        """Let attempts end; whoever comes next repeats the others when their lease is over."""
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=_AT_THE_END)
            await stop(*late)

    async def _deliver(self, letter: Letter) -> None:
        try:
            async with self._database.connection() as connection:
                run = await runs.get(connection, letter.run_id)
            attempt = await self._poster.post(letter.url, str(run.id), _body(run, letter))
            await self._settle(letter, attempt)
        except NotFoundError:  # deleted, and with it what there was to tell
            return
        except DatabaseError as error:
            logger.warning("the webhook of run %s is told again: %s", letter.run_id, error)
        except Exception:
            logger.exception("the webhook of run %s broke", letter.run_id)

    async def _settle(self, letter: Letter, attempt: Attempt) -> None:
        last = letter.attempt >= _MOST_ATTEMPTS
        async with self._database.connection() as connection:
            if attempt.result == "delivered":
                await webhook_outbox.settle(connection, letter, "delivered")
            elif attempt.result == "again" and not last:
                after = wait_before(letter.attempt + 1, attempt.after)
                await webhook_outbox.settle(
                    connection, letter, "waiting", error=attempt.error, after=after
                )
            else:
                await webhook_outbox.settle(connection, letter, "dead", error=attempt.error)
                given_up = (letter.run_id, letter.attempt, attempt.error)
                logger.warning("the webhook of run %s was given up at attempt %d: %s", *given_up)


def wait_before(attempt: int, wanted: float = 0.0) -> float:
    """Return how many seconds to wait before the n-th attempt, from the second on.

    Args:
        wanted: how long the receiver wants to be left alone.
    """
    backoff = min(_LONGEST_WAIT, _FIRST_WAIT * 4.0 ** (attempt - 2))
    return max(min(wanted, _LONGEST_WAIT), backoff * random.uniform(0.8, 1.2))  # noqa: S311


def _body(run: Run, letter: Letter) -> bytes:
    """Return what LangGraph's server tells of a run: the run, its last state, and its failure."""
    told: dict[str, Any] = {
        **RunWire.of(run).model_dump(mode="json"),
        "run_started_at": letter.started_at,
        "run_ended_at": run.finished_at,
        "webhook_sent_at": datetime.now(UTC).isoformat(),
        "values": letter.values,
    }
    if error := _error(run):
        told["error"] = error
    return dumps(told).encode()


def _error(run: Run) -> dict[str, Any] | None:
    if run.status in ("error", "timeout"):
        return {"error": run.outcome, "message": run.message}
    if run.status == "interrupted" and run.message:
        return {"error": "cancelled", "message": run.message}
    return None
