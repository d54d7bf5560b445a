"""The pause switch of the optimizer: each row pauses healing or resumes it, the newest holds."""

from dataclasses import dataclass
from datetime import datetime

from selfheal.db import queries
from selfheal.db.encoding import json
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_one, fetch_optional
from selfheal.db.reasons import Reason

_SQL = queries.load("pauses")


@dataclass(frozen=True, slots=True)
class Pause:
    """One change of the switch: who paused or resumed healing, when and why."""

    id: int
    paused: bool
    reason: Reason
    actor: str
    created_at: datetime


async def switch(connection: Connection, *, paused: bool, reason: Reason, actor: str) -> Pause:
    """Pause or resume healing.

    Args:
        connection: where it is stored.
        paused: True pauses healing, False resumes it.
        reason: why; an operator's own words are a `note`.
        actor: who did it.
    """
    values = {"paused": paused, "reason": json(reason), "actor": actor}
    return await fetch_one(connection, _SQL["add"], values, Pause)


async def current(connection: Connection) -> Pause | None:
    """Return the pause in force; None if healing is not paused."""
    newest = await fetch_optional(connection, _SQL["newest"], None, Pause)
    return newest if newest and newest.paused else None
