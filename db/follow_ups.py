"""The steps of a healing after it was closed: approved, held, promoted, rolled back."""

from typing import Literal
from uuid import UUID

from typing_extensions import TypedDict  # pydantic wants this one below Python 3.12

from selfheal.db import queries
from selfheal.db.encoding import json, storable
from selfheal.db.pool import Connection
from selfheal.db.reasons import Reason

LaterOutcome = Literal["rejected", "needs_approval", "canary", "promoted"]

_SQL = queries.load("follow_ups")


class FollowUp(TypedDict):
    """One later step of a healing; `at` is an ISO 8601 time with its offset."""

    at: str
    outcome: LaterOutcome
    reason: Reason
    actor: str


async def add(
    connection: Connection,
    healing_id: UUID,
    outcome: LaterOutcome,
    *,
    reason: Reason,
    actor: str,
) -> bool:
    """Store a later step, which gives the healing its outcome from now on.

    Returns:
        False if there is no such healing, if it released and staged nothing, or if it waits for
        approval for the same reason already: then no such step can follow, and nothing is stored.
    """
    values = {
        "healing_id": healing_id,
        "outcome": outcome,
        "reason": json(reason),
        "actor": storable(actor),
    }
    return (await connection.execute(_SQL["add"], values)).rowcount == 1
