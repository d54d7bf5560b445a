"""How versions do against each other, and whether healing is on hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg.rows import class_row

from selfheal.db import queries
from selfheal.db.encoding import json
from selfheal.db.pool import Connection
from selfheal.db.reasons import Reason
from selfheal.db.types import Agent

Side = Literal["canary", "base"]

_SQL = queries.load("version_stats")


@dataclass(frozen=True, slots=True)
class Arm:
    """One version's runs with a verdict: mean and variance of their scores, 0 to 1.

    `errors` are runs without a verdict; `p95_seconds` is None without any run.
    """

    runs: int
    mean: float
    variance: float
    errors: int
    p95_seconds: float | None


@dataclass(frozen=True, slots=True)
class Pause:
    """A word on healing as such: put on hold, or let go on."""

    id: int
    paused: bool
    reason: Reason
    actor: str
    created_at: datetime


async def arm(
    connection: Connection,
    agent: Agent,
    version: int,
    judge: int,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 200,
) -> Arm:
    """Return how a version has done in its newest runs of a time, under a judge's version."""
    values = {
        "agent": agent,
        "version": version,
        "judge": judge,
        "since": since,
        "until": until,
        "limit": limit,
    }
    cursor = connection.cursor(row_factory=class_row(Arm))
    row = await (await cursor.execute(_SQL["arm"], values)).fetchone()
    assert row is not None  # noqa: S101 - an aggregate has always a row
    return row


async def of(connection: Connection, versions: Mapping[str, int]) -> dict[str, Side]:
    """Return for each agent that has a canary under way on which side of it a version is.

    Args:
        versions: each agent's version; one that the canary does not know is left out.
    """
    found: dict[str, Side] = {}
    for row in await (await connection.execute(_SQL["canaries"])).fetchall():
        version = versions.get(row["agent"])
        if version in (row["version"], row["base_version"]):
            found[row["agent"]] = "canary" if version == row["version"] else "base"
    return found


async def pause(connection: Connection, *, paused: bool, reason: Reason, actor: str) -> Pause:
    """Put healing on hold, or let it go on."""
    values = {"paused": paused, "reason": json(reason), "actor": actor}
    cursor = connection.cursor(row_factory=class_row(Pause))
    row = await (await cursor.execute(_SQL["pause"], values)).fetchone()
    assert row is not None  # noqa: S101 - RETURNING
    return row


async def pausing(connection: Connection) -> Pause | None:
    """Return the pause that holds, if one does."""
    cursor = connection.cursor(row_factory=class_row(Pause))
    row = await (await cursor.execute(_SQL["pausing"])).fetchone()
    return row if row and row.paused else None


async def take_backs(connection: Connection) -> int:
    """Return how many releases took themselves back lately: see the query."""
    row = await (await connection.execute(_SQL["take_backs"])).fetchone()
    assert row is not None  # noqa: S101 - count
    return int(row["n"])
