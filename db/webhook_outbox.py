"""What is to be told of ended runs, until it was told or given up.

A row is written in the transaction that records a run's result, so it is there exactly if the
result is. Telling is at least once: a process that dies over it is followed by another when its
lease has run out. All times are the database's.
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

Standing = Literal["waiting", "delivered", "dead"]

_SQL = queries.load("webhook_outbox")


@dataclass(frozen=True, slots=True)
class Letter:
    """An ended run that this process tells of now, for the `attempt`-th time."""

    run_id: UUID
    attempt: int
    url: str
    values: dict[str, Any] | None
    started_at: datetime | None


async def put(
    connection: Connection, run_id: UUID, values: Mapping[str, Any] | None = None
) -> None:
    """Have it told that a run ended, and with which state; no effect if nobody wants to know.

    Call it in the transaction that records the result, before that.
    """
    await connection.execute(_SQL["put"], {"run_id": run_id, "values": json(values)})


async def claim(connection: Connection, *, limit: int, share: int, lease: float) -> list[Letter]:
    """Take what is due for `lease` seconds, of each tenant its oldest.

    Args:
        limit: how many at most.
        share: how many of one tenant may be under way at once, in all processes together.
    """
    return await fetch_all(
        connection, _SQL["claim"], {"limit": limit, "share": share, "lease": lease}, Letter
    )


async def settle(
    connection: Connection, letter: Letter, status: Standing, *, error: str = "", after: float = 0
) -> None:
    """Note how an attempt went; `waiting`: there is to be another `after` so many seconds.

    No effect if somebody else has made another attempt since.
    """
    values = {"run_id": letter.run_id, "attempt": letter.attempt, "status": status}
    await connection.execute(_SQL["settle"], values | {"error": storable(error), "after": after})


async def prune(connection: Connection, before: datetime, limit: int) -> int:
    """Delete what was delivered or given up before a moment, at most `limit`; return how many.

    What still waits is kept, however old: it goes with its run.
    """
    cursor = await connection.execute(_SQL["prune"], {"before": before, "limit": limit})
    return cursor.rowcount
