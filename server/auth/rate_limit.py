"""How often one key may ask. Each replica counts for itself: n replicas let n times as much by."""

import math
import time
from typing import Final

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter


class TooManyRequestsError(Exception):
    """A key has asked too often; `retry_after`: the seconds until it may ask again."""

    def __init__(self, per_minute: int, retry_after: int) -> None:
        super().__init__(f"more than {per_minute} requests a minute under this key")
        self.retry_after: Final = retry_after


class Rates:
    """Counts the requests of each valid key, and forgets them after a minute.

    Only callers who were let in are counted: strangers can fill no memory here.

    Args:
        per_minute: how many requests a key may make in a minute; 0 for any number.
    """

    def __init__(self, per_minute: int) -> None:
        self._most = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._counts = FixedWindowRateLimiter(MemoryStorage())

    async def count(self, key_id: str) -> None:
        """Count a request.

        Raises:
            TooManyRequestsError: it is one too many.
        """
        if self._most is None or await self._counts.hit(self._most, key_id):
            return
        reset = (await self._counts.get_window_stats(self._most, key_id)).reset_time
        raise TooManyRequestsError(self._most.amount, max(1, math.ceil(reset - time.time())))
