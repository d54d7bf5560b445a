"""Executing a run in the process that accepted it, while it has a free slot.

The claim is made in the transaction that stores the run, so no job is sent. If this process dies,
the lease expires and the run is recovered as every other.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from selfheal.app.aio import stop
from selfheal.db.claims import Claim
from selfheal.db.pool import Connection
from selfheal.server.execution.runner import Runner


class LocalSlot:
    """A free slot of this process, for one run."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.claim: Claim | None = None

    async def take(self, connection: Connection, run_id: UUID) -> bool:
        """Claim a run in the transaction that stores it.

        Returns:
            False if the slot has a run already, or another process has claimed this one.

        Raises:
            DatabaseError: Postgres cannot be reached or refused.
        """
        if self.claim is None:
            self.claim = await self._runner.claim(connection, run_id)
            return self.claim is not None
        return False


class LocalSlots:
    """Lends this process's slots, and executes the runs that were claimed with them.

    Args:
        enabled: false in a process whose runs are executed by others.
    """

    def __init__(self, runner: Runner, *, enabled: bool) -> None:
        self._runner = runner
        self._enabled = enabled
        self._open = False
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[LocalSlot | None]:
        """Lend a slot, None if none is free; execute its run if the body ends without an error."""
        if not (self._enabled and self._open) or self._runner.slots.locked():
            yield None
            return
        slots = self._runner.slots
        await slots.acquire()  # at once: it is not locked
        slot, started = LocalSlot(self._runner), False
        try:
            yield slot
            if slot.claim is not None:
                self._start(slot.claim)
                started = True
        finally:
            if not started:
                slots.release()

    def _start(self, claim: Claim) -> None:
        task = asyncio.create_task(self._execute(claim))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _execute(self, claim: Claim) -> None:
        try:
            await self._runner.execute_claimed(claim)
        finally:
            self._runner.slots.release()

    async def run(self, grace: float) -> None:
        """Lend slots until cancelled; then wait for their runs, and hand back the unfinished ones.

        Args:
            grace: seconds that the runs are given.
        """
        self._open = True
        try:
            await asyncio.Event().wait()
        finally:
            self._open = False
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=grace)
            await stop(*self._tasks)
