"""Executing runs: one claim, one executor, one recorded result."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from typing import Final, Protocol
from uuid import UUID, uuid4

from selfheal.app.aio import stop
from selfheal.db import claims
from selfheal.db.claims import CancelAction, Claim
from selfheal.db.errors import ClaimLostError, DatabaseError
from selfheal.db.pool import Connection, Database
from selfheal.db.runs import Finish, Outcome
from selfheal.server.execution import lease
from selfheal.server.execution.agent_executor import Ended
from selfheal.server.execution.event_writer import Tape
from selfheal.server.execution.notifications import RUNS, News
from selfheal.server.execution.queue import Queue
from selfheal.server.execution.results import record, undo
from selfheal.server.observability import logs
from selfheal.server.observability.metrics.runs import observe, recovered

logger = logging.getLogger(__name__)

_MOST_ATTEMPTS: Final = 20  # a run that kills its process each time must end some day
_HANDING_BACK: Final = 5.0  # seconds


class Performer(Protocol):
    """What runs a graph for a claim."""

    async def perform(self, claim: Claim, tape: Tape) -> Ended:
        """Bring the run to its end, telling of it on the tape."""
        ...


class Runner:
    """Executes runs in this process.

    Args:
        performers: what runs each assistant's graph.
        lease: seconds for which a claim is believed without a sign of life.
        concurrency: how many runs at once.
    """

    def __init__(
        self,
        database: Database,
        queue: Queue,
        news: News,
        performers: dict[str, Performer],
        lease: float,
        concurrency: int,
    ) -> None:
        self.slots = asyncio.Semaphore(concurrency)
        self._database = database
        self._queue = queue
        self._news = news
        self._performers = performers
        self._lease = lease
        self._name = f"{socket.gethostname()}/{os.getpid()}/{uuid4().hex[:8]}"
        self._observers: list[Callable[[Outcome], None]] = []

    def also_performs(self, assistant: str, performer: Performer) -> None:
        """Execute another assistant's runs too."""
        self._performers[assistant] = performer

    def tell(self, observer: Callable[[Outcome], None]) -> None:
        """Have `observer` told the outcome of every run, once it is recorded."""
        self._observers.append(observer)

    async def execute(self, run_id: UUID) -> None:
        """Execute a run when a slot is free, unless it is another's or over.

        Raises:
            DatabaseError: Postgres cannot be reached; the run will be sent to again.
        """
        async with self.slots:
            async with self._database.connection() as connection:
                claim = await self.claim(connection, run_id)
            if claim is not None:
                await self.perform(claim)

    async def claim(self, connection: Connection, run_id: UUID) -> Claim | None:
        """Take a run for this process; None if it is another's, not its turn, or over.

        Raises:
            DatabaseError: Postgres cannot be reached or refused.
        """
        return await claims.claim(connection, run_id, self._name, self._lease)

    async def perform(self, claim: Claim) -> None:
        """Bring a claimed run to its end, or leave it to whoever takes it over."""
        with logs.about(claim):
            try:
                await self._supervise(claim)
            except ClaimLostError:
                logger.warning("run %s was taken over by another process", claim.id)
            except DatabaseError as error:
                logger.warning("run %s must wait for Postgres: %s", claim.id, error)
                await self._hand_back(claim)

    async def _supervise(self, claim: Claim) -> None:
        """Let the run be performed until it ends, is cancelled, or is another's."""
        if claim.cancel:  # while nobody had it
            return await self._cancelled(claim, claim.cancel)
        work = asyncio.create_task(self._perform(claim))
        keeping = asyncio.create_task(lease.keep(self._database, self._news, claim, self._lease))
        try:
            await asyncio.wait({work, keeping}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return await work
            await stop(work)
            reason = keeping.result()
            if reason == "lost":
                raise ClaimLostError(f"run {claim.id} is another's now")
            await self._cancelled(claim, reason)
        except asyncio.CancelledError:
            await stop(work)
            await asyncio.shield(self._hand_back(claim))
            raise
        finally:
            await stop(keeping)

    async def _perform(self, claim: Claim) -> None:
        if claim.attempt > _MOST_ATTEMPTS:
            message = f"given up: {_MOST_ATTEMPTS} processes died or were stopped over it"
            await self._record(claim, Ended(Finish("infrastructure", message)))
            return
        if claim.attempt > 1:
            recovered()
        tape = Tape(self._database, claim, wanted=bool(claim.kwargs.get("stream_mode")))
        tape.tell("metadata", {"run_id": str(claim.id), "attempt": claim.attempt})
        try:
            ended = await self._performers[claim.assistant].perform(claim, tape)
        except (ClaimLostError, DatabaseError):
            raise
        except Exception:  # nobody who tries again would fare better
            logger.exception("run %s broke", claim.id)
            ended = Ended(Finish("infrastructure", "an internal error; the log has it"))
        finally:
            await tape.stop()
        await self._record(claim, ended)

    async def _cancelled(self, claim: Claim, action: CancelAction) -> None:
        if action == "rollback":
            await undo(self._database, self._queue, claim)
        else:
            await self._record(claim, Ended(Finish(None, "cancelled")))

    async def _record(self, claim: Claim, ended: Ended) -> None:
        await record(self._database, self._queue, claim, ended)
        self._news.wake(RUNS, str(claim.id))  # sooner than Postgres can tell
        ending = logs.ending(ended.finish)
        logger.info("run ended", extra=ending)
        if claim.assistant == "agent":
            observe(ended.finish, ending["seconds"])
        outcome = ended.finish.outcome
        if outcome and claim.assistant == "agent":
            for observer in self._observers:
                observer(outcome)

    async def _hand_back(self, claim: Claim) -> None:
        """Give the run to whoever is next, at once if Postgres can be told."""

        async def hand_back(connection: Connection) -> None:
            if await claims.hand_back(connection, claim):
                await self._queue.send(connection, claim.id)

        try:
            async with asyncio.timeout(_HANDING_BACK):
                await self._database.run(hand_back)
        except (DatabaseError, TimeoutError) as error:
            logger.warning("run %s goes on when its lease has run out: %s", claim.id, error)
