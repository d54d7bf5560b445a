"""Webhooks of ended runs, until they are delivered or given up.

A row is written in the transaction that stores a run's result, so it exists exactly if the result
does. Delivery is at least once: if a process dies during an attempt, another one repeats it when
the lease expires. All times are the database's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from selfheal.db import queries
from selfheal.db.encoding import json, storable
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_all

WebhookStatus = Literal["waiting", "delivered", "dead"]

_SQL = queries.load("webhook_outbox")


@dataclass(frozen=True, slots=True)
class PendingWebhook:
    """A webhook that this process sends now.

    Attributes:
        attempt: 1 for the first.
        values: the state that the run left.
        started_at: when the run was claimed; None if it never was.
    """

    run_id: UUID
    attempt: int
    url: str
    values: dict[str, Any] | None
    started_at: datetime | None


async def add(
    connection: Connection, run_id: UUID, values: Mapping[str, Any] | None = None
) -> None:
    """Enqueue a webhook for an ended run; no-op if the run has none.

    Call it in the transaction that stores the result, before that.

    Args:
        connection: to the database.
        run_id: the run.
        values: the state that the run left.
    """
    await connection.execute(_SQL["add"], {"run_id": run_id, "values": json(values)})


async def claim(
    connection: Connection, *, limit: int, share: int, lease: float
) -> list[PendingWebhook]:
    """Claim due webhooks, of each tenant its oldest.

    Args:
        connection: to the database.
        limit: the most to return.
        share: the most webhooks of one tenant in flight, in all processes together.
        lease: seconds until another process may claim them.
    """
    return await fetch_all(
        connection, _SQL["claim"], {"limit": limit, "share": share, "lease": lease}, PendingWebhook
    )


async def settle(
    connection: Connection,
    webhook: PendingWebhook,
    status: WebhookStatus,
    *,
    error: str = "",
    after: float = 0,
) -> None:
    """Store how an attempt ended; no effect if another process has made a later one.

    Args:
        connection: to the database.
        webhook: the one that was attempted.
        status: `waiting` for another attempt.
        error: why it failed.
        after: seconds until the next attempt.
    """
    values = {"run_id": webhook.run_id, "attempt": webhook.attempt, "status": status}
    await connection.execute(_SQL["settle"], values | {"error": storable(error), "after": after})


async def prune(connection: Connection, before: datetime, limit: int) -> int:
    """Delete webhooks that were delivered or given up before a moment; return how many.

    Those that wait are kept, however old: they are deleted with their run.
    """
    cursor = await connection.execute(_SQL["prune"], {"before": before, "limit": limit})
    return cursor.rowcount
