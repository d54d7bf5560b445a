"""Statistics of the whole deployment, which one of its processes exposes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from selfheal.db import queries
from selfheal.db.encoding import json
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_optional
from selfheal.db.reasons import Reason

_SQL: Final = queries.load("deployment_stats")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeploymentStats:
    """The statistics of a deployment.

    Attributes:
        passes: rows of `outcome` and `passes`, the optimizer's passes since the first start.
        last_success: when the optimizer last ended without an error, in seconds since 1970.
        paused: whether the optimizer is paused.
        live: rows of `agent`, `version` and `canary_percent`.
        healings: rows of `agent`, `outcome` and `healings` since the first start.
        releases: rows of `agent`, `action` and `releases` since the first start.
        queue_depth: runs that are due and not claimed.
        queue_oldest: the time that the oldest of them has been due, in seconds.
        agreement: of the judge with golden verdicts at its newest check, 0 to 1; None without one.
        drifted: whether the judge's flag stands.
        frozen: whether the newest healing ended for that reason.
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
    """The outcome of the optimizer's newest pass, `error` if it failed, and the reason."""

    outcome: str
    reason: Reason | None
    ended_at: datetime


async def record_pass(connection: Connection, outcome: str, reason: Reason | None = None) -> None:
    """Count a pass of the optimizer; the outcome is `error` if it failed."""
    await connection.execute(_SQL["record_pass"], {"outcome": outcome, "reason": json(reason)})


async def last_pass(connection: Connection) -> LastPass | None:
    """Return the newest pass; None before the first."""
    return await fetch_optional(connection, _SQL["last_pass"], None, LastPass)


async def acquire_lead(connection: Connection, holder: UUID, lease: float) -> bool:
    """Acquire or renew the lease of the process that exposes the statistics.

    Args:
        connection: to the database.
        holder: this process.
        lease: in seconds.

    Returns:
        False if another process holds the lease.
    """
    cursor = await connection.execute(_SQL["acquire_lead"], {"holder": holder, "lease": lease})
    return cursor.rowcount == 1


async def collect(connection: Connection) -> DeploymentStats:
    """Return the statistics of the deployment."""
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
        frozen=bool(judge and judge[0]["frozen"]),
    )


async def _all(connection: Connection, name: str) -> Sequence[Row]:
    return await (await connection.execute(_SQL[name])).fetchall()


async def _one(connection: Connection, name: str) -> Row:
    return (await _all(connection, name))[0]
