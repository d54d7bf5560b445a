"""Announcements of candidates that wait for approval, until they are delivered or given up.

Delivery is at least once: if a process dies during an attempt, another one repeats it when the
lease expires. All times are the database's.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from selfheal.db import queries
from selfheal.db.encoding import storable
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_all

Channel = Literal["webhook", "folder", "command"]

_SQL = queries.load("approval_announcements")


@dataclass(frozen=True, slots=True)
class Announcement:
    """A healing whose candidate waits for approval, to be announced on a channel.

    Attributes:
        attempt: 1 for the first.
    """

    healing_id: UUID
    channel: Channel
    attempt: int


async def claim(
    connection: Connection, channels: Collection[Channel], *, limit: int, lease: float
) -> list[Announcement]:
    """Claim what is due on these channels, oldest first.

    Args:
        connection: to the database.
        channels: those that this process can deliver to.
        limit: the most to return.
        lease: seconds until another process may claim them.
    """
    values = {"channels": list(channels), "limit": limit, "lease": lease}
    await connection.execute(_SQL["enqueue"], {"channels": list(channels)})
    return await fetch_all(connection, _SQL["claim"], values, Announcement)


async def settle(
    connection: Connection,
    announcement: Announcement,
    *,
    ended: bool,
    error: str = "",
    after: float = 0,
) -> None:
    """Store how an attempt ended; no effect if another process has made a later one.

    Args:
        connection: to the database.
        announcement: the one that was attempted.
        ended: delivered or given up, so that no further attempt is made.
        error: why it failed; empty if it was delivered.
        after: seconds until the next attempt.
    """
    values = {
        "healing_id": announcement.healing_id,
        "channel": announcement.channel,
        "attempt": announcement.attempt,
        "ended": ended,
        "error": storable(error),
        "after": after,
    }
    await connection.execute(_SQL["settle"], values)
