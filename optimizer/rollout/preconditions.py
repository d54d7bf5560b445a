"""Why no pass may be made now, whatever failed: healing is on hold, or a canary is under way."""

from selfheal.db import pauses, prompts
from selfheal.db.pool import Database
from selfheal.optimizer.rollout.monitor import WATCHED, advance_all
from selfheal.optimizer.state import Outcome


async def standing_by(database: Database) -> tuple[Outcome, str] | None:
    """Advance what is released, then return why to wait, as outcome and words; None if not.

    Raises:
        DatabaseError: Postgres cannot be reached.
    """
    await advance_all(database)
    async with database.connection() as connection:
        if pause := await pauses.current(connection):
            return "paused", f"healing is on hold: {pause.reason} ({pause.actor})"
        for agent in WATCHED:
            head = await prompts.head(connection, agent)
            if head.percent < 100:
                share = f"{head.percent} % of the threads"
                return "cooling_down", f"the {agent}'s version {head.version} is tried on {share}"
    return None
