"""What is told of the whole deployment, by one process of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg.rows import class_row

from selfheal.db import queries
from selfheal.db.encoding import json
from selfheal.db.pool import Connection
from selfheal.db.reasons import Reason

_SQL: Final = queries.load("deployment_stats")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a deployment stands. Times are seconds, `last_success` since 1970.

    Attributes:
        passes: `outcome`, `passes` of the optimizer since the beginning.
        live: `agent`, `version`, `canary_percent`.
        healings: `agent`, `outcome`, `healings` since the beginning.
        releases: `agent`, `action`, `releases` since the beginning.
        agreement: of the judge with golden verdicts when it was last asked, 0 to 1; None if never.
        frozen: healing stands still until the judge is found sound.
    """

    passes: Sequence[Row]
    last_success: float
    paused: bool
    live: Sequence[Row]
    healings: Sequence[Row]
    releases: Sequence[Row]
    queue_depth: int
    queue_oldest: float
    agreement: float | None
    drifted: bool
    frozen: bool


@dataclass(frozen=True, slots=True)
class LastPass:
    """What the newest pass of the optimizer came to, and why; `error` where it broke."""

    outcome: str
    reason: Reason | None
    ended_at: datetime


async def note_pass(connection: Connection, outcome: str, reason: Reason | None = None) -> None:
    """Count a pass of the optimizer; the outcome is `error` where it broke."""
    await connection.execute(_SQL["note_pass"], {"outcome": outcome, "reason": json(reason)})


async def last_pass(connection: Connection) -> LastPass | None:
    """Return what the newest pass came to; None before the first."""
    cursor = connection.cursor(row_factory=class_row(LastPass))
    return await (await cursor.execute(_SQL["last_pass"])).fetchone()


async def lead(connection: Connection, holder: UUID, lease: float) -> bool:
    """Become, or stay, the one process that tells; False if another is."""
    cursor = await connection.execute(_SQL["lead"], {"holder": holder, "lease": lease})
    return cursor.rowcount == 1


async def standing(connection: Connection) -> Standing:
    """Return how the deployment stands."""
    moments = await _one(connection, "moments")
    queue = await _one(connection, "queue")
    judge = await _all(connection, "judge")
    return Standing(
        passes=await _all(connection, "passes"),
        last_success=moments["last_success"],
        paused=moments["paused"],
        live=await _all(connection, "live"),
        healings=await _all(connection, "healings"),
        releases=await _all(connection, "releases"),
        queue_depth=queue["depth"],
        queue_oldest=queue["oldest"],
        agreement=judge[0]["agreement"] if judge else None,
        drifted=bool(judge and judge[0]["drifted"]),
        frozen=(await _one(connection, "frozen"))["frozen"],
    )


async def _all(connection: Connection, name: str) -> Sequence[Row]:
    return await (await connection.execute(_SQL[name])).fetchall()


async def _one(connection: Connection, name: str) -> Row:
    return (await _all(connection, name))[0]
