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
class VersionStats:
    """Results of a version's runs.

    Attributes:
        runs: with a verdict, or with an unusable answer, which scores 0.
        mean: of their scores, 0 to 1.
        variance: of their scores.
        errors: runs without a verdict for a reason that no prompt causes.
        p95_seconds: 95th percentile of the durations; None without any run.
    """

    runs: int
    mean: float
    variance: float
    errors: int
    p95_seconds: float | None


async def collect(
    connection: Connection,
    agent: Agent,
    version: int,
    judge: int,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 200,
) -> VersionStats:
    """Return the results of a version's newest runs.

    Args:
        connection: where they are read.
        agent: whose version.
        version: of the agent's prompt.
        judge: the version of the evaluator's prompt; verdicts of others are omitted.
        since: the begin of the period.
        until: its end.
        limit: runs at most.
    """
    values = {
        "agent": agent,
        "version": version,
        "judge": judge,
        "since": since,
        "until": until,
        "limit": limit,
    }
    return await fetch_one(connection, _SQL["newest_runs"], values, VersionStats)


async def canary_sides(connection: Connection, versions: Mapping[str, int]) -> dict[str, Side]:
    """Return for each agent with a canary on which side of it a version is.

    Args:
        connection: where it is read.
        versions: a version by agent; one that is on neither side is omitted.
    """
    found: dict[str, Side] = {}
    for row in await (await connection.execute(_SQL["canaries"])).fetchall():
        version = versions.get(row["agent"])
        if version in (row["version"], row["base_version"]):
            found[row["agent"]] = "canary" if version == row["version"] else "base"
    return found


async def automatic_rollbacks(connection: Connection) -> int:
    """Return the number of automatic rollbacks within a day and since healing was last resumed."""
    return int(await fetch_value(connection, _SQL["automatic_rollbacks"]))
