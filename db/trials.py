"""What a healing tried: candidates, trials, and the plans that its arms share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from selfheal.db import queries
from selfheal.db.encoding import json, storable
from selfheal.db.pool import Connection
from selfheal.db.types import Origin, Stage, Trial

_SQL = queries.load("trials")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposed prompt; ordinals begin with 1, since arm 0 of a trial is the incumbent."""

    healing_id: UUID
    ordinal: int
    round: int
    origin: Origin
    text: str
    rationale: str


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
    take: int = 0,
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
        "take": take,
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
    connection: Connection, healing_id: UUID, case_id: str, plan: Mapping[str, object]
) -> None:
    """Store the plan that all arms of a case share."""
    values = {"healing_id": healing_id, "case_id": case_id, "plan": json(plan)}
    await connection.execute(_SQL["add_plan"], values)


async def plans(connection: Connection, healing_id: UUID) -> dict[str, dict[str, Any]]:
    """Return a healing's plans by case."""
    cursor = await connection.execute(_SQL["plans"], {"healing_id": healing_id})
    return {row["case_id"]: row["plan"] for row in await cursor.fetchall()}
