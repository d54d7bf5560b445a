"""The budget of a healing: model calls are reserved before they are made and settled afterwards."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar
from uuid import UUID

from selfheal.app.llm.usage import Usage, metered
from selfheal.db import healings
from selfheal.db.healings import Hold
from selfheal.db.pool import Database

Value = TypeVar("Value")


class BudgetSpentError(Exception):
    """The healing, or the day, may make no more model calls."""

    def __init__(self) -> None:
        super().__init__("the budget of model calls is used up")


class Reservations:
    """Counts this process's open reservations, by healing, and lets callers wait for settlements.

    A reservation is for the worst case. Of several concurrent callers the last may be refused calls
    that the others will not use. It then waits for their settlements, so that concurrency does not
    make a budget smaller.
    """

    def __init__(self) -> None:
        self._open: Counter[UUID] = Counter()
        self._settled = 0
        self._changed = asyncio.Condition()

    @property
    def settled(self) -> int:
        """How many reservations have been settled so far. Read it before asking for one."""
        return self._settled

    def add(self, healing_id: UUID) -> None:
        """Count a reservation."""
        self._open[healing_id] += 1

    async def settle(self, healing_id: UUID) -> None:
        """Count a settlement and wake the callers that wait for one."""
        async with self._changed:
            self._open[healing_id] -= 1
            self._settled += 1
            self._changed.notify_all()

    async def wait_for_settlement(self, healing_id: UUID, since: int) -> bool:
        """Wait until a reservation is settled.

        Args:
            healing_id: the healing whose open reservations are worth waiting for.
            since: the value of `settled` before the refused request.

        Returns:
            True if there was a settlement since then, so that it is worth asking again; False if
            the healing has no open reservation.
        """
        async with self._changed:
            while self._settled == since:
                if not self._open[healing_id]:
                    return False
                await self._changed.wait()
        return True


class Budget:
    """Charges model calls to healings, within a limit for each healing and one for each day."""

    def __init__(self, database: Database, *, per_healing: int, per_day: int) -> None:
        self._database = database
        self._per_healing = per_healing
        self._per_day = per_day
        self._reservations = Reservations()

    async def charge(
        self, hold: Hold, calls: int, work: Coroutine[Any, Any, Value]
    ) -> tuple[Value, Usage]:
        """Reserve calls, await the work, and settle what it used.

        Args:
            hold: the healing to charge, held by this process.
            calls: the most calls that the work can make.
            work: makes the calls. It is closed without being started if the reservation fails.

        Returns:
            The value of the work and what it used.

        Raises:
            BudgetSpentError: the reservation was refused.
        """
        try:
            await self._reserve(hold, calls)
        except BaseException:
            work.close()
            raise
        with metered() as usage:
            try:
                return await work, usage
            finally:
                async with self._database.connection() as connection:
                    await healings.settle(
                        connection,
                        hold,
                        reserved=calls,
                        used=usage["calls"],
                        input_tokens=usage["input_tokens"],
                        output_tokens=usage["output_tokens"],
                    )
                await self._reservations.settle(hold.id)

    async def remaining(self, hold: Hold) -> int:
        """Return how many calls the healing may still reserve, within both limits; 0 at least."""
        async with self._database.connection() as connection:
            reserved = (await healings.get(connection, hold.id)).calls_reserved
            today = await healings.reserved_today(connection)
        return max(min(self._per_healing - reserved, self._per_day - today), 0)

    async def _reserve(self, hold: Hold, calls: int) -> None:
        while True:
            settled = self._reservations.settled
            async with self._database.connection() as connection:
                reserved = await healings.reserve(
                    connection, hold, calls, budget=self._per_healing, daily=self._per_day
                )
            if reserved:
                self._reservations.add(hold.id)
                return
            if not await self._reservations.wait_for_settlement(hold.id, settled):
                raise BudgetSpentError
