"""Why no optimizer pass may start now: healing is paused, or a canary is running."""

from selfheal.db import pauses, prompts
from selfheal.db.pool import Database
from selfheal.db.reasons import because
from selfheal.db.types import AGENTS
from selfheal.optimizer.policy.detection import NoHealing
from selfheal.optimizer.rollout.monitor import monitor_releases


async def blocked_by(database: Database) -> NoHealing | None:
    """Advance what is released, then return why no run may start; None if one may.

    Raises:
        DatabaseError: Postgres cannot be reached.
    """
    await monitor_releases(database)
    async with database.connection() as connection:
        if pause := await pauses.current(connection):
            reason = because("operator_pause", cause=pause.reason, actor=pause.actor)
            return NoHealing("paused", reason)
        for agent in AGENTS:
            head = await prompts.head(connection, agent)
            if head.percent < 100:
                reason = because(
                    "canary_running", agent=agent, version=head.version, percent=head.percent
                )
                return NoHealing("cooling_down", reason)
    return None
