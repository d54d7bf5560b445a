"""Announces candidates that wait for approval: durably, with retries, by one process each."""

import logging
from collections.abc import Mapping
from typing import Final

from selfheal.app.aio import gather_bounded, periodic
from selfheal.db import approval_announcements, healings
from selfheal.db.approval_announcements import Announcement, Channel
from selfheal.db.pool import Database
from selfheal.server.approvals.channels import COMMAND_SECONDS, ApprovalChannel
from selfheal.server.webhooks.delivery import wait_before

logger = logging.getLogger(__name__)

_POLL_SECONDS: Final = 5.0
_CONCURRENCY: Final = 4
_LEASE: Final = COMMAND_SECONDS + 30.0  # seconds; more than an attempt can take
_MOST_ATTEMPTS: Final = 10


class ApprovalAnnouncer:
    """Announces each pending approval on every configured channel, at least once."""

    def __init__(self, database: Database, channels: Mapping[Channel, ApprovalChannel]) -> None:
        self._database = database
        self._channels = channels

    async def run(self) -> None:
        """Announce until cancelled; return at once if no channel is configured."""
        if self._channels:
            await periodic(self.announce_due, _POLL_SECONDS, name="announcement of approvals")

    async def announce_due(self) -> None:
        """Make one attempt for what is due.

        Raises:
            DatabaseError: Postgres cannot be reached or refused.
        """
        async with self._database.connection() as connection:
            due = await approval_announcements.claim(
                connection, self._channels, limit=_CONCURRENCY, lease=_LEASE
            )
        await gather_bounded(_CONCURRENCY, self._announce, due)

    async def _announce(self, due: Announcement) -> None:
        async with self._database.connection() as connection:
            healing = await healings.get(connection, due.healing_id)
        attempt = await self._channels[due.channel].announce(healing)
        retried = attempt.result == "retry" and due.attempt < _MOST_ATTEMPTS
        async with self._database.connection() as connection:
            await approval_announcements.settle(
                connection,
                due,
                ended=not retried,
                error=attempt.error,
                after=wait_before(due.attempt + 1, attempt.after) if retried else 0,
            )
        if attempt.result != "delivered":
            state = "will be repeated" if retried else "was given up"
            given = (due.healing_id, due.channel, state, due.attempt, attempt.error)
            logger.warning("the announcement of healing %s by %s %s at attempt %d: %s", *given)
