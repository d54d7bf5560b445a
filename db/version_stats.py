"""How prompt versions compare with each other in production."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from selfheal.db import queries
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_one, fetch_value
from selfheal.db.types import Agent, VersionStats

Side = Literal["canary", "base"]

_SQL = queries.load("version_stats")


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
