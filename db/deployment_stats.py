"""Figures of the whole deployment, which one process of it exposes as metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from selfheal.db import queries
from selfheal.db.encoding import storable
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_optional

_SQL: Final = queries.load("deployment_stats")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeploymentStats:
    """Figures of a deployment. Times are in seconds, `last_success` since 1970.

    Attributes:
        passes: `outcome`, `passes`: optimizer runs in total.
        live: `agent`, `version`, `canary_percent`.
        healings: `agent`, `outcome`, `healings` in total.
        releases: `agent`, `action`, `releases` in total.
        agreement: of the judge with golden verdicts at the last check, 0 to 1; None if never.
        frozen: healing is suspended until a check finds no drift of the judge.
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
    """The outcome of the last optimizer run and its reason; `error` if it failed."""

    outcome: str
    reason: str
    ended_at: datetime


async def note_pass(connection: Connection, outcome: str, reason: str = "") -> None:
    """Count an optimizer run; the outcome is `error` if it failed."""
    await connection.execute(_SQL["note_pass"], {"outcome": outcome, "reason": storable(reason)})


async def last_pass(connection: Connection) -> LastPass | None:
    """Return the last optimizer run; None before the first."""
    return await fetch_optional(connection, _SQL["last_pass"], None, LastPass)


async def lead(connection: Connection, holder: UUID, lease: float) -> bool:
    """Become or stay the process that exposes the figures; False if another one is.

    Args:
        connection: where it is stored.
        holder: this process.
        lease: seconds after which another process may take over.
    """
    cursor = await connection.execute(_SQL["lead"], {"holder": holder, "lease": lease})
    return cursor.rowcount == 1


async def collect_deployment(connection: Connection) -> DeploymentStats:
    """Return the figures of the deployment."""
    moments = await _one(connection, "moments")
    queue = await _one(connection, "queue")
    judge = await _all(connection, "judge")
    return DeploymentStats(
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
