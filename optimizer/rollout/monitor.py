"""Monitoring of releases: their results are read, and promotion or rollback is carried out.

Any process that stores runs, and any pass of the optimizer, does it, by compare-and-swap.
"""

import logging
from datetime import UTC, datetime
from typing import Final

from selfheal.db import pauses, prompts, version_stats
from selfheal.db.errors import ReleaseConflictError
from selfheal.db.pool import Connection, Database
from selfheal.db.prompts import Terms
from selfheal.db.reasons import because
from selfheal.db.types import Agent, Release
from selfheal.optimizer.policy.canary import MonitorDecision, ReleaseStatus, decide, watch_ended
from selfheal.optimizer.wording import sentence

logger = logging.getLogger(__name__)

MOST_ROLLBACKS: Final = 2  # automatic ones in PAUSE_HOURS; then healing is paused
PAUSE_HOURS: Final = 24  # as in db/sql/version_stats.sql
MONITORED: Final[tuple[Agent, ...]] = ("manager", "worker")  # a judge is checked by golden verdicts


async def monitor_release(database: Database, agent: Agent) -> MonitorDecision | None:
    """Look at an agent's newest release and do what is due; None if there is nothing to watch.

    Of several processes that do so at once one succeeds, and the others change nothing.

    Raises:
        DatabaseError: Postgres cannot be reached.
    """

    async def look(connection: Connection) -> MonitorDecision | None:
        status = await _status(connection, agent)
        if status is None:
            return None
        decision = decide(status)
        if decision.action in ("promote", "take_back"):
            try:
                async with connection.transaction():
                    await _carry_out(connection, status.release, decision)
            except ReleaseConflictError:
                return None
        return decision

    decision = await database.run(look)
    if decision is not None and decision.action in ("promote", "take_back"):
        logger.warning("%s %s: %s", agent, decision.action, sentence(decision.reason))
    return decision


async def monitor_releases(database: Database) -> list[tuple[Agent, MonitorDecision]]:
    """Look at every agent's newest release; return what is being watched or was done.

    Raises:
        DatabaseError: Postgres cannot be reached.
    """
    found = [(agent, await monitor_release(database, agent)) for agent in MONITORED]
    return [(agent, decision) for agent, decision in found if decision is not None]


async def _status(connection: Connection, agent: Agent) -> ReleaseStatus | None:
    """Return how the newest release does; None if it is not, or no longer, watched."""
    release = await prompts.head(connection, agent)
    if release.action in ("seed", "rollback", "take_back"):
        return None
    age = datetime.now(UTC) - release.created_at
    since = release.created_at
    judge = (await prompts.released(connection, "evaluator")).version
    new = await version_stats.collect(connection, agent, release.version, judge, since=since)
    earlier = await prompts.before(connection, release)
    if earlier is None or watch_ended(release, new.runs, age):
        return None
    if release.percent < 100:
        old = await version_stats.collect(connection, agent, earlier, judge, since=since)
    else:
        old = await version_stats.collect(connection, agent, earlier, judge, until=since)
    return ReleaseStatus(release, new, old, age)


async def _carry_out(connection: Connection, release: Release, decision: MonitorDecision) -> None:
    if decision.action == "promote":
        await prompts.release(
            connection,
            release.agent,
            release.version,
            after=release,
            action="promote",
            actor="optimizer",
            terms=Terms(healing_id=release.healing_id, reason=decision.reason),
        )
        return
    await prompts.rollback(
        connection,
        release.agent,
        actor="optimizer",
        after=release,
        action="take_back",
        reason=decision.reason,
    )
    rolled_back = await version_stats.automatic_rollbacks(connection)
    if rolled_back >= MOST_ROLLBACKS:
        reason = because("releases_rolled_back", releases=rolled_back, hours=PAUSE_HOURS)
        await pauses.switch(connection, paused=True, reason=reason, actor="optimizer")
