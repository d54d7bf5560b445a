"""Limits of callers: requests per key and minute, and storage per tenant."""

import math
import time
from dataclasses import dataclass
from typing import Final

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from selfheal.db import retention
from selfheal.db.pool import Database

RUN_BYTES: Final = 128 * 2**10  # the most that a run and its states take
NOTE_BYTES: Final = 16 * 2**10
UNKNOWN_BYTES: Final = math.inf

_SHARE: Final = 8  # the part of the remaining space that is allowed until the next measurement
_LONGEST: Final = 60.0  # seconds between two measurements; other processes add rows too
_SHORTEST: Final = 1.0
_COST: Final = 100  # the pause is at least so many times the duration of a measurement


class TooManyRequestsError(Exception):
    """A key's rate limit is exceeded. `retry_after`: seconds until the next request is allowed."""

    def __init__(self, per_minute: int, retry_after: int) -> None:
        super().__init__(f"more than {per_minute} requests a minute under this key")
        self.retry_after: Final = retry_after


class RateLimiter:
    """Counts the requests of each valid key in a window of a minute.

    Each process counts for itself, so n replicas allow n times as many. Only admitted callers are
    counted: others cannot use up memory here.

    Args:
        per_minute: the most requests of a key in a minute; 0 for any number.
    """

    def __init__(self, per_minute: int) -> None:
        self._most = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._counts = FixedWindowRateLimiter(MemoryStorage())

    async def count(self, key_id: str) -> None:
        """Count a request.

        Raises:
            TooManyRequestsError: the limit is exceeded.
        """
        if self._most is None or await self._counts.hit(self._most, key_id):
            return
        reset = (await self._counts.get_window_stats(self._most, key_id)).reset_time
        raise TooManyRequestsError(self._most.amount, max(1, math.ceil(reset - time.time())))


class QuotaExceededError(Exception):
    """A tenant's storage quota is used up."""


@dataclass(slots=True)
class _Measurement:
    """A tenant's usage. Times are the monotonic clock's, in seconds."""

    full: bool
    left: float  # bytes that are allowed until the next measurement
    not_before: float
    due_at: float


class StorageQuota:
    """Bounds what is stored for each tenant.

    Usage is measured from time to time, since that reads all rows; in between it is estimated. So a
    tenant may exceed the quota by an eighth of what was left, or by the requests of a second, in
    each process.

    Args:
        megabytes: the most that a tenant may store; 0 for any amount.
    """

    def __init__(self, database: Database, megabytes: int) -> None:
        self._database = database
        self._megabytes = megabytes
        self._measured: dict[str, _Measurement] = {}

    async def check(self, tenant: str, adding: float) -> None:
        """Check that a tenant may store so many bytes more, which may be an estimate.

        Raises:
            QuotaExceededError: the quota is used up.
            DatabaseError: Postgres cannot be reached or refused.
        """
        if not self._megabytes:
            return
        found, now = self._measured.get(tenant), time.monotonic()
        if found is None or (
            now >= found.not_before and (found.left < 0 or found.full or now >= found.due_at)
        ):
            found = self._measured[tenant] = await self._measure(tenant)
        if found.full:
            raise QuotaExceededError(
                f"this tenant has used its {self._megabytes} MB of storage"
                " (SELFHEAL_TENANT_STORAGE_MB): delete threads and runs"
            )
        found.left -= adding

    async def _measure(self, tenant: str) -> _Measurement:
        started = time.monotonic()
        async with self._database.connection() as connection:
            left = self._megabytes * 2**20 - await retention.used(connection, tenant)
        ended = time.monotonic()
        pause = max(_SHORTEST, _COST * (ended - started))
        return _Measurement(left <= 0, left / _SHARE, ended + pause, ended + max(pause, _LONGEST))
