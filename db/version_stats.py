"""How prompt versions compare with each other in production."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from selfheal.db import queries
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_one, fetch_value
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
    return await fetch_one(connection, _SQL["arm"], values, Arm)


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


async def take_backs(connection: Connection) -> int:
    """Return how many releases took themselves back lately: see the query."""
    return int(await fetch_value(connection, _SQL["take_backs"]))
