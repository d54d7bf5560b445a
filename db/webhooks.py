"""Who is to be told that a run has ended: an outbox, filled in the transaction that ends it."""

from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import class_row

from db import queries
from db.pool import Connection

_SQL = queries.load("webhooks")


@dataclass(frozen=True, slots=True)
class Webhook:
    """Something to tell: which run, to whom, and how often that was tried, this time included."""

    id: int
    run_id: UUID
    url: str
    attempts: int


async def add(connection: Connection, run_id: UUID, url: str) -> None:
    """Have somebody told of a run's end."""
    await connection.execute(_SQL["add"], {"run_id": run_id, "url": url})


async def take(connection: Connection, *, patience: float, limit: int = 20) -> list[Webhook]:
    """Return what is due; nobody else gets it for `patience` seconds."""
    cursor = connection.cursor(row_factory=class_row(Webhook))
    await cursor.execute(_SQL["take"], {"patience": patience, "limit": limit})
    return await cursor.fetchall()


async def told(connection: Connection, webhook_id: int) -> None:
    """Note that somebody was told, or that it is given up."""
    await connection.execute(_SQL["told"], {"id": webhook_id})


async def later(connection: Connection, webhook_id: int, seconds: float) -> None:
    """Try again in so many seconds."""
    await connection.execute(_SQL["later"], {"id": webhook_id, "seconds": seconds})
