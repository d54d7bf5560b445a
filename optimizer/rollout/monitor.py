"""Monitoring of releases: their results are read, and promotion or rollback is carried out.

Any process that stores runs, and any pass of the optimizer, does it, by compare-and-swap.
"""

import logging
from datetime import UTC, datetime
from typing import Final

from selfheal.db import follow_ups, healings, pauses, prompts, version_stats
from selfheal.db.errors import ReleaseConflictError
from selfheal.db.pool import Connection, Database
from selfheal.db.prompts import Terms
from selfheal.db.reasons import Reason, because
from selfheal.db.types import AGENTS, Agent, Release
from selfheal.db.version_stats import Period
from selfheal.optimizer.policy.canary import (
    GUARDS,
    MonitorDecision,
    ReleaseStatus,
    decide,
    watch_ended,
)
from selfheal.optimizer.wording import sentence

logger = logging.getLogger(__name__)

MOST_ROLLBACKS: Final = 2  # automatic ones in PAUSE_HOURS; then healing is paused
PAUSE_HOURS: Final = 24  # as in db/sql/version_stats.sql
_logged: Final[set[int]] = set()  # pinned releases that are worse, to log each once


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
        try:
            async with connection.transaction():
                done = await _carry_out(connection, status.release, decision)
        except ReleaseConflictError:
            return None
        if done or _is_news(status.release, decision):
            logger.warning("%s %s: %s", agent, decision.action, sentence(decision.reason))
        return decision

    return await database.run(look)


async def monitor_releases(database: Database) -> list[tuple[Agent, MonitorDecision]]:
    """Look at every agent's newest release; return what is being watched or was done.

    Raises:
        DatabaseError: Postgres cannot be reached.
    """
    found = [(agent, await monitor_release(database, agent)) for agent in AGENTS]
    return [(agent, decision) for agent, decision in found if decision is not None]


def _is_news(release: Release, decision: MonitorDecision) -> bool:
    """Tell whether this process has not logged yet that a pinned release is worse."""
    if decision.action != "hold" or not release.pinned or release.id in _logged:
        return False
    _logged.add(release.id)
    return True


async def _status(connection: Connection, agent: Agent) -> ReleaseStatus | None:
    """Return how the newest release does; None if it is not, or no longer, watched."""
    release = await prompts.head(connection, agent)
    if release.action in ("seed", "rollback", "take_back"):
        return None
    age = datetime.now(UTC) - release.created_at
    since = release.created_at
    judge = (await prompts.released(connection, "evaluator")).version
    after = Period(since=since)
    new = await version_stats.collect(connection, agent, release.version, judge, after)
    earlier = await prompts.before(connection, release)
    if earlier is None or watch_ended(release, new.runs, age):
        return None
    compared = after if release.percent < 100 else Period(until=since)
    return ReleaseStatus(
        release,
        new,
        await version_stats.collect(connection, agent, earlier, judge, compared),
        age,
        answers=await version_stats.answers(connection, agent, release.version, after),
        answers_before=await version_stats.answers(connection, agent, earlier, compared),
        held=await _held(connection, release),
    )


async def _held(connection: Connection, release: Release) -> Reason | None:
    """Return the guard for which a canary waits for approval; None if it does not."""
    if release.percent == 100 or release.healing_id is None:
        return None
    healing = await healings.get(connection, release.healing_id)
    if healing.outcome != "needs_approval" or not healing.follow_ups:
        return None
    reason = healing.follow_ups[-1]["reason"]
    return reason if reason["code"] in GUARDS else None


async def _carry_out(connection: Connection, release: Release, decision: MonitorDecision) -> bool:
    """Do what was decided; return whether that changed anything."""
    if decision.action == "wait":
        return False
    if decision.action == "hold":
        return await _hold(connection, release, decision.reason)
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
        return True
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
    return True


async def _hold(connection: Connection, release: Release, reason: Reason) -> bool:
    """Have the healing of a canary wait for approval; return False if there is none, or it does."""
    if release.percent == 100 or release.healing_id is None:
        return False
    return await follow_ups.add(
        connection, release.healing_id, "needs_approval", reason=reason, actor="optimizer"
    )
