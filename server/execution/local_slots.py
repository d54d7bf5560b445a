"""Executing a run in the very process that took it in, while it has a slot free.

The claim is made in the transaction that takes the run in, so nobody need be sent to it. Should
this process die, the lease runs out, and the reaper sends another, as for every run.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from selfheal.app.aio import stop
from selfheal.db.claims import Claim
from selfheal.db.pool import Connection
from selfheal.server.execution.runner import Runner


class Slot:
    """A free slot of this process. What is claimed for it begins once it is sure to be taken in."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.claim: Claim | None = None

    async def take(self, connection: Connection, run_id: UUID) -> bool:
        """Claim a run within the transaction that takes it in; False if the slot has one already.

        Raises:
            DatabaseError: Postgres cannot be reached or refused.
        """
        if self.claim is None:
            self.claim = await self._runner.claim(connection, run_id)
            return self.claim is not None
        return False


class Here:
    """Lends this process's slots, and executes what was claimed for them.

    Args:
        lends: whether it does; a process whose runs are others' work does not.
    """

    def __init__(self, runner: Runner, *, lends: bool) -> None:
        self._runner = runner
        self._lends = lends
        self._open = False
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Slot | None]:
        """Lend a slot if one is free; what it has claimed begins when the body is left well."""
        if not (self._lends and self._open) or self._runner.slots.locked():
            yield None
            return
        slots = self._runner.slots
        await slots.acquire()  # at once: it is not locked
        slot, begun = Slot(self._runner), False
        try:
            yield slot
            if slot.claim is not None:
                self._begin(slot.claim)
                begun = True
        finally:
            if not begun:
                slots.release()

    def _begin(self, claim: Claim) -> None:
        task = asyncio.create_task(self._execute(claim))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _execute(self, claim: Claim) -> None:
        try:
            await self._runner.perform(claim)
        finally:
            self._runner.slots.release()

    async def run(self, grace: float) -> None:
        """Lend slots until cancelled; then let those runs end, and hand back what takes longer.

        Args:
            grace: seconds that they are given.
        """
        self._open = True
        try:
            await asyncio.Event().wait()
        finally:
            self._open = False
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=grace)
            await stop(*self._tasks)
