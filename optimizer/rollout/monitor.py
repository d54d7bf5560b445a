"""advance_release: what becomes of a release by how its runs go, decided purely, done by CAS.

Needs no process of its own: whoever records a run, and every pass of the optimizer, may call it.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from selfheal.db import pauses, prompts, version_stats
from selfheal.db.errors import ReleaseConflictError
from selfheal.db.pool import Connection, Database
from selfheal.db.prompts import Release, Terms
from selfheal.db.types import Agent
from selfheal.db.version_stats import VersionStats
from selfheal.optimizer.statistics import MARGIN, difference, excess

logger = logging.getLogger(__name__)

LEAST_RUNS: Final = 5
ENOUGH_RUNS: Final = 20
LEAST_OLD_RUNS: Final = 10
ERRORS_AT: Final = 0.01
# How often equals may be taken back, at most. Scores are skewed, so that the bounds are not exact:
# of simulated canaries of equals, with two kinds of scores, up to 1.9 % were taken back at 0.02,
# up to 1 % at 0.01. A watched version is held against a fixed record: 1.2 % at 0.05.
CANARY_ALPHA: Final = 0.01
WATCH_ALPHA: Final = 0.05
CANARY_FOR: Final = timedelta(hours=24)
WATCH_FOR: Final = timedelta(days=7)
WATCH_RUNS: Final = 200
MOST_TAKE_BACKS: Final = 2
WATCHED: Final[tuple[Agent, ...]] = ("manager", "worker")  # a judge is measured by golden verdicts

Action = Literal["promote", "take_back", "hold", "wait"]


@dataclass(frozen=True, slots=True)
class Standing:
    """A release, and how its version and the one before it have done; `age` since the release."""

    release: Release
    new: VersionStats
    old: VersionStats
    age: timedelta


@dataclass(frozen=True, slots=True)
class Step:
    """What to do with a release, and why."""

    action: Action
    reason: str


def decide(standing: Standing) -> Step:
    """Decide what becomes of a release."""
    enough = min(standing.new.runs, standing.old.runs) >= LEAST_RUNS
    if enough and (worse := _worse(standing)):
        return _against(standing, worse)
    if standing.release.percent < 100:
        return _canary(standing)
    return Step("wait", "watched")


def over(release: Release, runs: int, age: timedelta) -> bool:
    """Tell whether a release to all threads has been watched for long enough."""
    return release.percent == 100 and (runs >= WATCH_RUNS or age >= WATCH_FOR)


def _worse(standing: Standing) -> str:
    """Say in what the new version is worse beyond chance, or nothing."""
    new, old = standing.new, standing.old
    watched = standing.release.percent == 100
    bounds = difference(new, old, WATCH_ALPHA if watched else CANARY_ALPHA)
    if bounds.upper < 0 and (standing.release.percent < 100 or old.runs >= LEAST_OLD_RUNS):
        return f"its scores are lower by {-bounds.mean:.2f} (at least {-bounds.upper:.2f})"
    both = (new.runs + new.errors, old.runs + old.errors)
    if standing.release.percent == 100 or min(both) < ENOUGH_RUNS:
        return ""  # the past had other outages and another load: it does not compare
    if new.errors * both[1] > 2 * old.errors * both[0] and (
        excess(new.errors, both[0], old.errors, both[1]) < ERRORS_AT
    ):
        return f"{new.errors} of {both[0]} runs ended without a verdict, {old.errors} before"
    if new.p95_seconds and old.p95_seconds and new.p95_seconds > 2 * old.p95_seconds + 1:
        return f"it is slow: 95 % within {new.p95_seconds:.1f} s, {old.p95_seconds:.1f} s before"
    return ""


def _against(standing: Standing, worse: str) -> Step:
    if standing.release.pinned:
        return Step("hold", f"it is pinned, but {worse}")
    return Step("take_back", worse)


def _canary(standing: Standing) -> Step:
    new, old = standing.new, standing.old
    bounds = difference(new, old)
    counted = f"{new.runs} runs, score {bounds.mean:+.2f} (at least {bounds.lower:+.2f})"
    if min(new.runs, old.runs) >= ENOUGH_RUNS and bounds.lower > -MARGIN:
        return Step("promote", counted)
    if standing.age < CANARY_FOR:
        return Step("wait", counted)
    if bounds.mean >= 0 and new.runs >= LEAST_OLD_RUNS:
        return Step("promote", f"{counted}; never worse in a day")
    return Step("hold", f"undecided after a day: {counted}")


async def advance_release(database: Database, agent: Agent) -> Step | None:
    """Look at an agent's newest release and do what is due; None if there is nothing to watch.

    Of several processes that do so at once one wins, and the others change nothing.

    Raises:
        DatabaseError: Postgres cannot be reached.
    """

    async def look(connection: Connection) -> Step | None:
        standing = await _standing(connection, agent)
        if standing is None:
            return None
        step = decide(standing)
        if step.action in ("promote", "take_back"):
            try:
                async with connection.transaction():
                    await _carry_out(connection, standing.release, step)
            except ReleaseConflictError:
                return None
        return step

    step = await database.run(look)
    if step is not None and step.action in ("promote", "take_back"):
        logger.warning("%s %s: %s", agent, step.action, step.reason)
    return step


async def advance_all(database: Database) -> list[tuple[Agent, Step]]:
    """Look at every agent's newest release; return what is being watched or was done.

    Raises:
        DatabaseError: Postgres cannot be reached.
    """
    steps = [(agent, await advance_release(database, agent)) for agent in WATCHED]
    return [(agent, step) for agent, step in steps if step is not None]


async def _standing(connection: Connection, agent: Agent) -> Standing | None:
    """Return how the newest release stands; None if it is not, or no longer, watched."""
    release = await prompts.head(connection, agent)
    if release.action in ("seed", "rollback", "take_back"):
        return None
    age = datetime.now(UTC) - release.created_at
    since = release.created_at
    judge = (await prompts.released(connection, "evaluator")).version
    new = await version_stats.collect(connection, agent, release.version, judge, since=since)
    earlier = await prompts.before(connection, release)
    if earlier is None or over(release, new.runs, age):
        return None
    if release.percent < 100:
        old = await version_stats.collect(connection, agent, earlier, judge, since=since)
    else:
        old = await version_stats.collect(connection, agent, earlier, judge, until=since)
    return Standing(release, new, old, age)


async def _carry_out(connection: Connection, release: Release, step: Step) -> None:
    agent, note = release.agent, step.reason
    if step.action == "promote":
        await prompts.release(
            connection,
            agent,
            release.version,
            after=release,
            action="promote",
            actor="optimizer",
            note=note,
            terms=Terms(healing_id=release.healing_id),
        )
        return
    await prompts.rollback(
        connection, agent, actor="optimizer", note=note, after=release, action="take_back"
    )
    if await version_stats.automatic_rollbacks(connection) >= MOST_TAKE_BACKS:
        reason = f"{MOST_TAKE_BACKS} releases took themselves back within 24 hours"
        await pauses.switch(connection, paused=True, reason=reason, actor="optimizer")
