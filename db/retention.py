"""Storage used by tenants, and deletion of old rows in small transactions."""

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
    """Return how many bytes a tenant's rows take. It reads all rows, but no long values."""
    return int(await fetch_value(connection, _SQL["used"], {"tenant": tenant}))


async def take_turn(connection: Connection) -> bool:
    """Take this hour's turn to prune; False if another process has it."""
    return (await connection.execute(_SQL["take_turn"])).rowcount == 1


async def prune(
    database: Database, *, runs_days: int, states_days: int, batch: int = BATCH
) -> dict[Kind, int]:
    """Delete old rows. Each batch is a transaction of its own.

    Args:
        database: the database.
        runs_days: days that ended runs are kept, with their evaluations and events; 0: no limit.
        states_days: days that the events of ended runs, earlier states of idle threads, states of
            closed healings and settled webhooks are kept; 0: no limit.
        batch: rows in a transaction, at most.

    Returns:
        How many rows of each kind were deleted.

    Raises:
        DatabaseError: Postgres cannot be reached or refused.
    """
    days = {kind: runs_days if kind == "runs" else states_days for kind in _STEPS}
    return {
        kind: await _all(database, step, days[kind], batch) if days[kind] else 0
        for kind, step in _STEPS.items()
    }


async def _all(database: Database, step: Step, days: int, batch: int) -> int:
    """Repeat a step until it deletes less than a batch."""
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
    """Delete the earlier states of idle threads, not the newest; return how many threads."""
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
