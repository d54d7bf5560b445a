"""Executing runs in this process: one claim, one executor, one stored result."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, Protocol
from uuid import UUID, uuid4

from selfheal.app.aio import stop
from selfheal.db import claims
from selfheal.db.claims import CancelAction, Claim
from selfheal.db.errors import ClaimLostError, DatabaseError
from selfheal.db.pool import Connection, Database
from selfheal.db.runs import Outcome, RunResult
from selfheal.server.execution.events import EventWriter
from selfheal.server.execution.notifications import CANCELS, RUNS, Notifications
from selfheal.server.execution.queue import Queue
from selfheal.server.execution.run_end import complete_run
from selfheal.server.observability import logs
from selfheal.server.observability.metrics.process import RUNS_RECOVERED, observe

logger = logging.getLogger(__name__)

_MOST_ATTEMPTS: Final = 20  # a run that kills its process each time must end
_HAND_BACK_SECONDS: Final = 5.0
_RENEWALS: Final = 4  # within a lease
_FIRST_RENEWAL: Final = 0.25  # seconds; a cancellation may have come before we listened

Observer = Callable[[Outcome], None]


class Executor(Protocol):
    """Runs a graph for a claim."""

    async def execute(self, claim: Claim, events: EventWriter) -> RunResult:
        """Run the graph to its end.

        Raises:
            ClaimLostError: another process has claimed the run.
            DatabaseError: Postgres cannot be reached; another process will resume the run.
        """
        ...


class Runner:
    """Executes runs in this process.

    Args:
        executors: for each assistant that this process can run, what runs it.
        observers: called with the outcome of each run of the agent, when it is stored.
        lease: seconds until a claim expires unless it is renewed.
        concurrency: how many runs are executed at once.
    """

    def __init__(
        self,
        database: Database,
        queue: Queue,
        notifications: Notifications,
        executors: Mapping[str, Executor],
        observers: Sequence[Observer],
        lease: float,
        concurrency: int,
    ) -> None:
        self.slots = asyncio.Semaphore(concurrency)
        self._database = database
        self._queue = queue
        self._notifications = notifications
        self._executors = executors
        self._observers = observers
        self._lease = lease
        self._name = f"{socket.gethostname()}/{os.getpid()}/{uuid4().hex[:8]}"

    async def execute(self, run_id: UUID) -> None:
        """Execute a run in a free slot, unless another process has it or it has ended.

        Raises:
            DatabaseError: Postgres cannot be reached; the run will be enqueued again.
        """
        async with self.slots:
            async with self._database.connection() as connection:
                claim = await self.claim(connection, run_id)
            if claim is not None:
                await self.execute_claimed(claim)

    async def claim(self, connection: Connection, run_id: UUID) -> Claim | None:
        """Claim a run for this process.

        Returns:
            None if another process has it, an earlier run of its thread is unfinished, or it has
            ended.

        Raises:
            DatabaseError: Postgres cannot be reached or refused.
        """
        return await claims.claim(connection, run_id, self._name, self._lease)

    async def execute_claimed(self, claim: Claim) -> None:
        """Execute a claimed run to its end, or leave it to the process that claims it next."""
        with logs.run_context(claim):
            try:
                await self._supervise(claim)
            except ClaimLostError:
                logger.warning("run %s was claimed by another process", claim.id)
            except DatabaseError as error:
                logger.warning("run %s is released for other processes: %s", claim.id, error)
                await self._hand_back(claim)

    async def _supervise(self, claim: Claim) -> None:
        """Execute the run until it ends, is cancelled, or its claim is lost."""
        if claim.cancel:  # requested while no process had the claim
            return await self._cancelled(claim, claim.cancel)
        work = asyncio.create_task(self._execute(claim))
        renewing = asyncio.create_task(self._keep_lease(claim))
        try:
            await asyncio.wait({work, renewing}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                result = await work
                # First: a stored end takes the claim away, and the next renewal would take that for
                # a loss and cancel what is still to be reported.
                await stop(renewing)
                return await self._complete(claim, result)
            await stop(work)
            reason = renewing.result()
            if reason == "lost":
                raise ClaimLostError(f"run {claim.id} is claimed by another process")
            await self._cancelled(claim, reason)
        except asyncio.CancelledError:
            await stop(work)
            await asyncio.shield(self._hand_back(claim))
            raise
        finally:
            await stop(renewing)

    async def _keep_lease(self, claim: Claim) -> Literal["lost"] | CancelAction:
        """Renew a claim until it is lost or its run is to be cancelled; return which.

        While Postgres cannot be reached the run continues: its writes need the claim in any case.
        """
        pause = min(_FIRST_RENEWAL, self._lease / _RENEWALS)
        with self._notifications.subscribe(CANCELS, claim.id) as cancelled:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await cancelled.wait()
                cancelled.clear()
                pause = self._lease / _RENEWALS
                try:
                    async with self._database.connection() as connection:
                        action = await claims.renew(connection, claim, self._lease)
                    if action:
                        return action
                except LookupError:
                    return "lost"
                except DatabaseError as error:
                    logger.warning("the lease of run %s was not renewed: %s", claim.id, error)

    async def _execute(self, claim: Claim) -> RunResult:
        """Execute the run; return its result, which is not stored yet."""
        if claim.attempt > _MOST_ATTEMPTS:
            message = f"given up: {_MOST_ATTEMPTS} processes died or were stopped during the run"
            return RunResult("infrastructure", message)
        if claim.attempt > 1:
            RUNS_RECOVERED.inc()
        events = EventWriter(self._database, claim, enabled=bool(claim.options.stream_mode))
        events.write("metadata", {"run_id": str(claim.id), "attempt": claim.attempt})
        try:
            return await self._executors[claim.assistant].execute(claim, events)
        except (ClaimLostError, DatabaseError):
            raise
        except Exception:  # another attempt would fail in the same way
            logger.exception("run %s failed", claim.id)
            return RunResult("infrastructure", "internal error; see the log")
        finally:
            await events.stop()

    async def _cancelled(self, claim: Claim, action: CancelAction) -> None:
        rolled_back = action == "rollback"
        await self._complete(claim, None if rolled_back else RunResult(None, "cancelled"))

    async def _complete(self, claim: Claim, result: RunResult | None) -> None:
        """Store the end of a run, then report it; None rolls the run back."""
        await self._database.run(
            lambda each: complete_run(each, self._queue, claim.id, result, claim=claim)
        )
        self._notifications.notify(RUNS, str(claim.id))  # sooner than Postgres does
        if result is None:
            return
        ending = logs.ending(result)
        logger.info("run ended", extra=ending)
        if claim.assistant == "agent":
            observe(result, ending["seconds"])
            if result.outcome is not None:
                for observer in self._observers:
                    observer(result.outcome)

    async def _hand_back(self, claim: Claim) -> None:
        """Let another process claim the run, at once if Postgres can be reached."""

        async def hand_back(connection: Connection) -> None:
            if await claims.hand_back(connection, claim):
                await self._queue.send(connection, claim.id)

        try:
            async with asyncio.timeout(_HAND_BACK_SECONDS):
                await self._database.run(hand_back)
        except (DatabaseError, TimeoutError) as error:
            logger.warning(
                "could not release run %s; it will be recovered when its lease expires: %s",
                claim.id,
                error,
            )
