"""Monitoring of releases: promote, hold or roll back, decided purely, done by compare-and-swap.

Needs no process of its own: every process that records runs, and every optimizer pass, may do it.
"""

import logging
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple

from selfheal.db import pauses, prompts, version_stats
from selfheal.db.errors import ReleaseConflictError
from selfheal.db.pool import Connection, Database
from selfheal.db.prompts import Release, Terms
from selfheal.db.reasons import Code, Reason, because
from selfheal.db.types import Agent
from selfheal.db.version_stats import VersionStats
from selfheal.optimizer.statistics import MARGIN, Bounds, difference, excess
from selfheal.optimizer.wording import sentence

logger = logging.getLogger(__name__)

LEAST_RUNS: Final = 5
ENOUGH_RUNS: Final = 20
LEAST_OLD_RUNS: Final = 10
ERRORS_AT: Final = 0.01
# How often equals may be rolled back, at most. Scores are skewed, so that the bounds are not exact:
# of simulated canaries of equals, with two kinds of scores, up to 1.9 % were rolled back at 0.02,
# up to 1 % at 0.01. A watched version is compared with a fixed record: 1.2 % at 0.05.
CANARY_ALPHA: Final = 0.01
WATCH_ALPHA: Final = 0.05
CANARY_FOR: Final = timedelta(hours=24)
WATCH_FOR: Final = timedelta(days=7)
WATCH_RUNS: Final = 200
MOST_ROLLBACKS: Final = 2  # automatic ones in PAUSE_HOURS; then healing is paused
PAUSE_HOURS: Final = 24  # as in db/sql/version_stats.sql
MONITORED: Final[tuple[Agent, ...]] = ("manager", "worker")  # a judge is checked by golden verdicts

Action = Literal["promote", "take_back", "hold", "wait"]


@dataclass(frozen=True, slots=True)
class ReleaseStatus:
    """A release, and how its version and the one before it have done; `age` since the release."""

    release: Release
    new: VersionStats
    old: VersionStats
    age: timedelta


class MonitorDecision(NamedTuple):
    """What to do with a release, and why. `take_back` rolls it back."""

    action: Action
    reason: Reason


def decide(status: ReleaseStatus) -> MonitorDecision:
    """Decide what becomes of a release."""
    enough = min(status.new.runs, status.old.runs) >= LEAST_RUNS
    if enough and (worse := _worse(status)):
        if status.release.pinned:
            return MonitorDecision("hold", because("pinned_but_worse", cause=worse))
        return MonitorDecision("take_back", worse)
    if status.release.percent < 100:
        return _decide_canary(status)
    return MonitorDecision("wait", because("watched"))


def watch_ended(release: Release, runs: int, age: timedelta) -> bool:
    """Tell whether a release to all threads has been watched for long enough."""
    return release.percent == 100 and (runs >= WATCH_RUNS or age >= WATCH_FOR)


def _worse(status: ReleaseStatus) -> Reason | None:
    """Return in what the new version is worse beyond chance; None if it is not."""
    new, old = status.new, status.old
    watched = status.release.percent == 100
    bounds = difference(new, old, WATCH_ALPHA if watched else CANARY_ALPHA)
    if bounds.upper < 0 and (not watched or old.runs >= LEAST_OLD_RUNS):
        return because("worse_scores", by=-bounds.mean, at_least=-bounds.upper)
    both = (new.runs + new.errors, old.runs + old.errors)
    if watched or min(both) < ENOUGH_RUNS:
        return None  # the past had other outages and another load: it does not compare
    if new.errors * both[1] > 2 * old.errors * both[0] and (
        excess(new.errors, both[0], old.errors, both[1]) < ERRORS_AT
    ):
        return because("more_errors", errors=new.errors, runs=both[0], before=old.errors)
    if new.p95_seconds and old.p95_seconds and new.p95_seconds > 2 * old.p95_seconds + 1:
        return because("slower", seconds=new.p95_seconds, before=old.p95_seconds)
    return None


def _decide_canary(status: ReleaseStatus) -> MonitorDecision:
    new, old = status.new, status.old
    bounds = difference(new, old)
    if min(new.runs, old.runs) >= ENOUGH_RUNS and bounds.lower > -MARGIN:
        return MonitorDecision("promote", _scores("canary_scores", new, bounds))
    if status.age < CANARY_FOR:
        return MonitorDecision("wait", _scores("canary_scores", new, bounds))
    if bounds.mean >= 0 and new.runs >= LEAST_OLD_RUNS:
        return MonitorDecision("promote", _scores("canary_not_worse_in_a_day", new, bounds))
    return MonitorDecision("hold", _scores("canary_undecided", new, bounds))


def _scores(code: Code, new: VersionStats, bounds: Bounds) -> Reason:
    lower = bounds.lower if math.isfinite(bounds.lower) else None
    return because(code, runs=new.runs, mean=bounds.mean, lower=lower)


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
