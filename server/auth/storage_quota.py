"""How much a tenant may have stored."""

import math
import time
from dataclasses import dataclass
from typing import Final

from selfheal.db import retention
from selfheal.db.pool import Database

A_RUN: Final = 128 * 2**10  # bytes: what a run and its states take, or less
A_NOTE: Final = 16 * 2**10
UNKNOWN: Final = math.inf

_SHARE: Final = 8  # what part of the room that is left is let pass until it is measured again
_LONGEST: Final = 60.0  # seconds between two measurements; other processes add rows too
_SHORTEST: Final = 1.0
_COST: Final = 100  # times as long as a measurement took, it is at least until the next


class QuotaExceededError(Exception):
    """A tenant has stored as much as it may."""


@dataclass(slots=True)
class _Measured:
    """What was found at some moment; all moments are the monotonic clock's."""

    full: bool
    left: float  # bytes that are let pass
    again_from: float
    again_at: float


class Quota:
    """Bounds what is stored for each tenant.

    Measured now and then, since it takes time: in between, what is added is estimated. So a tenant
    may have somewhat more: an eighth of what was left, or a second's requests, in each process.

    Args:
        megabytes: how much a tenant may have stored; 0 for any amount.
    """

    def __init__(self, database: Database, megabytes: int) -> None:
        self._database = database
        self._megabytes = megabytes
        self._measured: dict[str, _Measured] = {}

    async def check(self, tenant: str, adding: float) -> None:
        """Let a tenant store so many bytes more, which may be an estimate.

        Raises:
            QuotaExceededError: it has as much as it may already.
            DatabaseError: Postgres cannot be reached or refused.
        """
        if not self._megabytes:
            return
        found, now = self._measured.get(tenant), time.monotonic()
        if found is None or (
            now >= found.again_from and (found.left < 0 or found.full or now >= found.again_at)
        ):
            found = self._measured[tenant] = await self._measure(tenant)
        if found.full:
            raise QuotaExceededError(
                f"what this tenant has stored takes the {self._megabytes} MB that it may"
                " (SELFHEAL_TENANT_STORAGE_MB): delete threads and runs"
            )
        found.left -= adding

    async def _measure(self, tenant: str) -> _Measured:
        begun = time.monotonic()
        async with self._database.connection() as connection:
            left = self._megabytes * 2**20 - await retention.used(connection, tenant)
        ended = time.monotonic()
        pause = max(_SHORTEST, _COST * (ended - begun))
        return _Measured(left <= 0, left / _SHARE, ended + pause, ended + max(pause, _LONGEST))
