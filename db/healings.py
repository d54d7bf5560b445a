"""Healings: one open at a time, held by a lease, with its budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from selfheal.db import queries
from selfheal.db.encoding import json
from selfheal.db.errors import NotFoundError
from selfheal.db.follow_ups import FollowUp
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_all, fetch_optional, fetch_value
from selfheal.db.reasons import Reason
from selfheal.db.types import Agent

Outcome = Literal[
    "healthy", "frozen", "rejected", "collecting", "needs_approval", "canary", "promoted"
]

_SQL = queries.load("healings")


@dataclass(frozen=True, slots=True)
class Healing:
    """One healing, open until it has an outcome; `holder` works on it while its lease lasts.

    Attributes:
        outcome: that of its last step; null while it is open.
        reason: why it was closed as it was, null while it is open; each later step has its own.
        follow_ups: the steps since it was closed, oldest first.
    """

    id: UUID
    agent: Agent
    trigger: str
    state: str
    outcome: Outcome | None
    reason: Reason | None
    errored: bool
    incumbent_version: int
    to_version: int | None
    holder: UUID
    lease_until: datetime
    calls_reserved: int
    calls_used: int
    input_tokens: int
    output_tokens: int
    receipt: Mapping[str, object] | None
    opened_at: datetime
    closed_at: datetime | None
    follow_ups: list[FollowUp] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Hold:
    """The right to write to a healing: its id, and the token that the lease was taken with."""

    id: UUID
    holder: UUID


@dataclass(frozen=True, slots=True)
class Closing:
    """How a healing ended."""

    outcome: Outcome
    reason: Reason
    receipt: Mapping[str, object]
    to_version: int | None = None
    errored: bool = False


@dataclass(frozen=True, slots=True)
class Cost:
    """What one state of a healing has cost: so many payments, with what they add up to."""

    state: str
    payments: int
    calls: int
    input_tokens: int
    output_tokens: int


async def open_(
    connection: Connection,
    hold: Hold,
    *,
    agent: Agent,
    trigger: str,
    incumbent_version: int,
    lease: float,
) -> bool:
    """Open a healing; False if another one is open. The same hold may open it again."""
    values = {
        "id": hold.id,
        "holder": hold.holder,
        "agent": agent,
        "trigger": trigger,
        "incumbent_version": incumbent_version,
        "lease": lease,
    }
    cursor = await connection.execute(_SQL["open"], values)
    return cursor.rowcount == 1 or await renew(connection, hold, lease)


async def take_over(connection: Connection, holder: UUID, lease: float) -> Healing | None:
    """Take over the open healing whose holder is gone, if there is one."""
    return await fetch_optional(
        connection, _SQL["abandoned"], {"holder": holder, "lease": lease}, Healing
    )


async def open_one(connection: Connection) -> Healing | None:
    """Return the open healing, if there is one."""
    return await fetch_optional(connection, _SQL["open_one"], None, Healing)


async def renew(connection: Connection, hold: Hold, lease: float) -> bool:
    """Keep a healing for another `lease` seconds; False if it is no longer ours."""
    values = {"id": hold.id, "holder": hold.holder, "lease": lease}
    return (await connection.execute(_SQL["renew"], values)).rowcount == 1


async def holds(connection: Connection, hold: Hold) -> bool:
    """Tell whether the healing is still ours, and keep it so until the transaction ends."""
    values = {"id": hold.id, "holder": hold.holder}
    return (await connection.execute(_SQL["hold"], values)).rowcount == 1


async def enter(connection: Connection, hold: Hold, state: str) -> None:
    """Note which state the healing is in, for those who watch."""
    await connection.execute(_SQL["enter"], {"id": hold.id, "holder": hold.holder, "state": state})


async def blame(connection: Connection, hold: Hold, agent: Agent, incumbent_version: int) -> None:
    """Note whose prompt the healing turned out to be about."""
    values = {"id": hold.id, "holder": hold.holder, "agent": agent, "version": incumbent_version}
    await connection.execute(_SQL["blame"], values)


async def reserve(
    connection: Connection, hold: Hold, calls: int, *, budget: int, daily: int
) -> bool:
    """Reserve model calls; False if they exceed the healing's or the day's allowance."""
    values = {
        "id": hold.id,
        "holder": hold.holder,
        "calls": calls,
        "budget": budget,
        "daily": daily,
    }
    return (await connection.execute(_SQL["reserve"], values)).rowcount == 1


async def reserved_today(connection: Connection) -> int:
    """Return the model calls reserved in 24 hours, by healings and for asking the judge."""
    return int(await fetch_value(connection, _SQL["reserved_today"]) or 0)


async def settle(
    connection: Connection,
    hold: Hold,
    *,
    reserved: int,
    used: int,
    input_tokens: int,
    output_tokens: int,
) -> None:
    """Count what was used of a reservation, and give back the rest."""
    values = {
        "id": hold.id,
        "holder": hold.holder,
        "calls": reserved,
        "used": used,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
    }
    await connection.execute(_SQL["settle"], values)


async def costs(connection: Connection, healing_id: UUID) -> list[Cost]:
    """Return what each state of a healing has cost, in the order of the first payments."""
    return await fetch_all(connection, _SQL["payments"], {"id": healing_id}, Cost)


async def close(connection: Connection, hold: Hold, closing: Closing) -> bool:
    """Record a healing's one outcome; False if it is no longer ours to close."""
    values = {
        "id": hold.id,
        "holder": hold.holder,
        "outcome": closing.outcome,
        "reason": json(closing.reason),
        "errored": closing.errored,
        "to_version": closing.to_version,
        "receipt": json(closing.receipt),
    }
    return (await connection.execute(_SQL["close"], values)).rowcount == 1


async def release_to(connection: Connection, hold: Hold, version: int) -> None:
    """Note the version that this healing released."""
    values = {"id": hold.id, "holder": hold.holder, "version": version}
    await connection.execute(_SQL["release_to"], values)


async def get(connection: Connection, healing_id: UUID) -> Healing:
    """Return one healing.

    Raises:
        NotFoundError: there is none.
    """
    row = await fetch_optional(connection, _SQL["get"], {"id": healing_id}, Healing)
    if row is None:
        raise NotFoundError(f"there is no healing {healing_id}")
    return row


async def recent(connection: Connection, limit: int = 50) -> list[Healing]:
    """Return the newest healings, newest first."""
    return await fetch_all(connection, _SQL["recent"], {"limit": limit}, Healing)


async def of_version(connection: Connection, agent: Agent, version: int) -> list[Healing]:
    """Return the closed healings of one incumbent that released nothing, newest first.

    Healings that were to shorten a prompt are left out.
    """
    return await fetch_all(
        connection, _SQL["of_version"], {"agent": agent, "version": version}, Healing
    )


async def newest_of_kept(connection: Connection, agent: Agent, version: int) -> Healing | None:
    """Return the newest healing of an incumbent that kept a candidate, or ended keeping one.

    It is still kept if the outcome is `collecting`.
    """
    values = {"agent": agent, "version": version}
    return await fetch_optional(connection, _SQL["newest_of_kept"], values, Healing)


async def proven_against(connection: Connection, agent: Agent, version: int) -> int | None:
    """Return the version that was last proven better than this one; None if there is none."""
    values = {"agent": agent, "version": version}
    found: int | None = await fetch_value(connection, _SQL["proven_against"], values)
    return found


async def shortened(connection: Connection, agent: Agent, version: int) -> bool:
    """Tell whether a version was shortened before, or is the result of that."""
    cursor = await connection.execute(_SQL["shortened"], {"agent": agent, "version": version})
    return await cursor.fetchone() is not None


async def healed_cases(connection: Connection, agent: Agent) -> list[dict[str, Any]]:
    """Return the production cases that earlier healings of this agent healed."""
    cursor = await connection.execute(_SQL["healed_cases"], {"agent": agent})
    return [case for row in await cursor.fetchall() for case in row["cases"]]


async def trained_cases(connection: Connection, cases: Sequence[str]) -> set[str]:
    """Return those of the cases that one of the newest healings trained on."""
    cursor = await connection.execute(_SQL["trained_cases"], {"cases": list(cases)})
    return {row["case_id"] for row in await cursor.fetchall()}
