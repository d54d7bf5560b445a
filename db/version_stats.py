"""How prompt versions compare with each other in production."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from selfheal.db import queries
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_one, fetch_value
from selfheal.db.types import Agent, AnswerStats, VersionStats

Side = Literal["canary", "base"]

_SQL = queries.load("version_stats")


@dataclass(frozen=True, slots=True)
class Period:
    """When the runs of a version began: from `since`, included, until `until`, excluded."""

    since: datetime | None = None
    until: datetime | None = None


async def collect(
    connection: Connection,
    agent: Agent,
    version: int,
    judge: int,
    period: Period,
    *,
    limit: int = 200,
) -> VersionStats:
    """Return the results of a version's newest runs.

    Args:
        connection: where they are read.
        agent: whose version.
        version: of the agent's prompt.
        judge: the version of the evaluator's prompt; verdicts of others are omitted.
        period: when they began.
        limit: runs at most.
    """
    values = {**_values(agent, version, period, limit), "judge": judge}
    return await fetch_one(connection, _SQL["newest_runs"], values, VersionStats)


async def answers(
    connection: Connection, agent: Agent, version: int, period: Period, *, limit: int = 200
) -> AnswerStats:
    """Return whether the newest answers of an agent's model under a version could be used.

    Args:
        connection: where they are read.
        agent: whose answers, and whose version.
        version: of the agent's prompt.
        period: when the runs began.
        limit: answers at most.
    """
    values = _values(agent, version, period, limit)
    return await fetch_one(connection, _SQL["newest_answers"], values, AnswerStats)


def _values(agent: Agent, version: int, period: Period, limit: int) -> dict[str, object]:
    return {
        "agent": agent,
        "version": version,
        "since": period.since,
        "until": period.until,
        "limit": limit,
    }


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
