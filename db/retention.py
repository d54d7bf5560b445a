"""What is stored, and forgetting it in small transactions."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, Literal

from selfheal.db import queries, webhook_outbox
from selfheal.db.pool import Connection, Database
from selfheal.db.queries import fetch_value

_SQL = queries.load("retention")

BATCH: Final = 200
_PAUSE: Final = 0.02  # seconds between two transactions

Step = Callable[[Connection, datetime, int], Awaitable[int]]
Kind = Literal["runs", "events", "thread states", "healing states", "webhooks"]


async def used(connection: Connection, tenant: str) -> int:
    """Return how many bytes a tenant's rows take. It reads them all, but for long values."""
    return int(await fetch_value(connection, _SQL["used"], {"tenant": tenant}))


async def take_turn(connection: Connection) -> bool:
    """Take the right to prune in this hour; False if another process has it."""
    return (await connection.execute(_SQL["take_turn"])).rowcount == 1


async def prune(
    database: Database, *, runs_days: int, states_days: int, batch: int = BATCH
) -> dict[Kind, int]:
    """Forget, and return how many of each kind were forgotten.

    Each batch is a transaction of its own: cancelled or killed, it has forgotten less, and no half.

    Args:
        runs_days: how long ended runs are kept, with all that hangs on them; 0 for ever.
        states_days: how long what ended runs streamed, the earlier states of quiet threads, states
            of closed healings and webhooks that are done with are kept; 0 for ever.

    Raises:
        DatabaseError: Postgres cannot be reached or refused.
    """
    days = {kind: runs_days if kind == "runs" else states_days for kind in _STEPS}
    return {
        kind: await _all(database, step, days[kind], batch) if days[kind] else 0
        for kind, step in _STEPS.items()
    }


async def _all(database: Database, step: Step, days: int, batch: int) -> int:
    """Take step after step until one finds less than a batch."""
    total, found = 0, batch
    async with database.connection() as connection:
        before: datetime = await fetch_value(connection, _SQL["moment"], {"days": days})
    while found >= batch:
        found = await database.run(lambda each: step(each, before, batch))
        total += found
        await asyncio.sleep(_PAUSE)
    return total


async def _runs(connection: Connection, before: datetime, limit: int) -> int:
    values = {"before": before, "limit": limit}
    return (await connection.execute(_SQL["runs"], values)).rowcount


async def _events(connection: Connection, before: datetime, limit: int) -> int:
    values = {"before": before, "limit": limit}
    return (await connection.execute(_SQL["events"], values)).rowcount


async def _threads(connection: Connection, before: datetime, limit: int) -> int:
    """Forget the earlier states of quiet threads; their newest stays. Returns the threads."""
    return await _states(connection, "threads", "older_states", before, limit)


async def _healings(connection: Connection, before: datetime, limit: int) -> int:
    return await _states(connection, "healings", "all_states", before, limit)


async def _states(
    connection: Connection, whose: str, which: str, before: datetime, limit: int
) -> int:
    cursor = await connection.execute(_SQL[whose], {"before": before, "limit": limit})
    ids = [row["id"] for row in await cursor.fetchall()]
    for statement in (which, "stray_writes", "stray_blobs"):
        await connection.execute(_SQL[statement], {"ids": ids})
    return len(ids)


_STEPS: Final[dict[Kind, Step]] = {
    "runs": _runs,
    "events": _events,
    "thread states": _threads,
    "healing states": _healings,
    "webhooks": webhook_outbox.prune,
}
