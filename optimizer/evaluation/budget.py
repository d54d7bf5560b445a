"""What this process has reserved of a healing's calls, and not settled yet."""

import asyncio
from collections import Counter
from uuid import UUID


class Purse:
    """Tells who was refused a reservation whether it is worth waiting.

    A reservation is for the worst case. Of several at once the last may be refused for what the
    others will give back: then it waits for them, and a budget goes as far as it does one by one.
    """

    def __init__(self) -> None:
        self._open: Counter[UUID] = Counter()
        self._given_back = 0
        self._changed = asyncio.Condition()

    @property
    def given_back(self) -> int:
        """How many reservations have been settled so far: to be noted before one is asked for."""
        return self._given_back

    def took(self, healing_id: UUID) -> None:
        """Note a reservation."""
        self._open[healing_id] += 1

    async def settled(self, healing_id: UUID) -> None:
        """Note that a reservation was settled."""
        async with self._changed:
            self._open[healing_id] -= 1
            self._given_back += 1
            self._changed.notify_all()

    async def may_retry(self, healing_id: UUID, given_back: int) -> bool:
        """Wait until something was settled since; False if there is nothing left to wait for."""
        async with self._changed:
            while self._given_back == given_back:
                if not self._open[healing_id]:
                    return False
                await self._changed.wait()
        return True
