"""Healings: one open at a time, held by a lease, with its budget, candidates and trials."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.rows import class_row

from db import queries
from db.errors import NotFoundError
from db.pool import Connection
from db.prompts import Agent
from db.text import json, storable

Outcome = Literal["rejected", "needs_approval", "canary", "promoted"]
Stage = Literal["screen", "gate"]
Origin = Literal["last_good", "writer"]

_SQL = queries.load("healings")


@dataclass(frozen=True, slots=True)
class Healing:
    """One healing, open until it has an outcome; `holder` works on it while its lease lasts."""

    id: UUID
    agent: Agent
    trigger: str
    state: str
    outcome: Outcome | None
    reason: str
    errored: bool
    incumbent_version: int
    to_version: int | None
    holder: UUID
    lease_until: datetime
    calls_reserved: int
    calls_used: int
    input_tokens: int
    output_tokens: int
    receipt: dict[str, Any] | None
    opened_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Hold:
    """The right to write to a healing: its id, and the token that the lease was taken with."""

    id: UUID
    holder: UUID


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposed prompt; ordinals begin with 1, since arm 0 of a trial is the incumbent."""

    healing_id: UUID
    ordinal: int
    round: int
    origin: Origin
    text: str
    rationale: str


@dataclass(frozen=True, slots=True)
class Trial:
    """One case run once under one prompt; `score` from 0 to 1."""

    healing_id: UUID
    stage: Stage
    arm: int
    case_id: str
    outcome: str
    passed: bool
    score: float
    executed: bool
    calls: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Closing:
    """How a healing ended."""

    outcome: Outcome
    reason: str
    receipt: dict[str, Any]
    to_version: int | None = None
    errored: bool = False


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
    cursor = connection.cursor(row_factory=class_row(Healing))
    await cursor.execute(_SQL["abandoned"], {"holder": holder, "lease": lease})
    return await cursor.fetchone()


async def open_one(connection: Connection) -> Healing | None:
    """Return the open healing, if there is one."""
    cursor = connection.cursor(row_factory=class_row(Healing))
    return await (await cursor.execute(_SQL["open_one"])).fetchone()


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
    """Return the model calls that the healings of the last 24 hours have reserved."""
    row = await (await connection.execute(_SQL["reserved_today"])).fetchone()
    return int(row["calls"]) if row else 0


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


async def close(connection: Connection, hold: Hold, closing: Closing) -> bool:
    """Record a healing's one outcome; False if it is no longer ours to close."""
    values = {
        "id": hold.id,
        "holder": hold.holder,
        "outcome": closing.outcome,
        "reason": storable(closing.reason),
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
    cursor = connection.cursor(row_factory=class_row(Healing))
    row = await (await cursor.execute(_SQL["get"], {"id": healing_id})).fetchone()
    if row is None:
        raise NotFoundError(f"there is no healing {healing_id}")
    return row


async def recent(connection: Connection, limit: int = 50) -> list[Healing]:
    """Return the newest healings, newest first."""
    cursor = connection.cursor(row_factory=class_row(Healing))
    return await (await cursor.execute(_SQL["recent"], {"limit": limit})).fetchall()


async def of_version(connection: Connection, agent: Agent, version: int) -> list[Healing]:
    """Return the closed healings of one incumbent, newest first."""
    cursor = connection.cursor(row_factory=class_row(Healing))
    await cursor.execute(_SQL["of_version"], {"agent": agent, "version": version})
    return await cursor.fetchall()


async def healed_cases(connection: Connection, agent: Agent) -> list[dict[str, Any]]:
    """Return the production cases that earlier healings of this agent healed."""
    cursor = await connection.execute(_SQL["healed_cases"], {"agent": agent})
    return [case for row in await cursor.fetchall() for case in row["cases"]]


async def looks(connection: Connection, healing_id: UUID, cases: Sequence[str]) -> dict[str, int]:
    """Return how many earlier healings looked at each case, those never looked at left out."""
    cursor = await connection.execute(_SQL["looks"], {"id": healing_id, "cases": list(cases)})
    return {row["case_id"]: row["looks"] for row in await cursor.fetchall()}


async def add_candidate(connection: Connection, candidate: Candidate) -> None:
    """Store a candidate; one that is there with this ordinal is replaced."""
    values = {
        "healing_id": candidate.healing_id,
        "ordinal": candidate.ordinal,
        "round": candidate.round,
        "origin": candidate.origin,
        "text": storable(candidate.text),
        "rationale": storable(candidate.rationale),
    }
    await connection.execute(_SQL["add_candidate"], values)


async def candidates(connection: Connection, healing_id: UUID) -> list[Candidate]:
    """Return a healing's candidates in order."""
    cursor = connection.cursor(row_factory=class_row(Candidate))
    return await (await cursor.execute(_SQL["candidates"], {"healing_id": healing_id})).fetchall()


async def add_trial(
    connection: Connection,
    healing_id: UUID,
    *,
    stage: Stage,
    arm: int,
    case_id: str,
    result: dict[str, Any],
) -> Trial:
    """Store a trial; if it was stored before, that one stays. Return what is stored.

    `result` has outcome, passed, score, executed and calls.
    """
    values = {
        "healing_id": healing_id,
        "stage": stage,
        "arm": arm,
        "case_id": case_id,
        **{name: result[name] for name in ("outcome", "passed", "score", "executed", "calls")},
    }
    cursor = connection.cursor(row_factory=class_row(Trial))
    row = await (await cursor.execute(_SQL["add_trial"], values)).fetchone()
    assert row is not None  # noqa: S101 - RETURNING gives a row or the statement raises
    return row


async def trials(connection: Connection, healing_id: UUID) -> list[Trial]:
    """Return a healing's trials in the order in which they ended."""
    cursor = connection.cursor(row_factory=class_row(Trial))
    return await (await cursor.execute(_SQL["trials"], {"healing_id": healing_id})).fetchall()


async def add_plan(
    connection: Connection, healing_id: UUID, case_id: str, plan: dict[str, Any]
) -> None:
    """Store the plan that all arms of a case share."""
    values = {"healing_id": healing_id, "case_id": case_id, "plan": json(plan)}
    await connection.execute(_SQL["add_plan"], values)


async def plans(connection: Connection, healing_id: UUID) -> dict[str, dict[str, Any]]:
    """Return a healing's plans by case."""
    cursor = await connection.execute(_SQL["plans"], {"healing_id": healing_id})
    return {row["case_id"]: row["plan"] for row in await cursor.fetchall()}
