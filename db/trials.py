"""The candidates and trials of a healing, and the plans that its arms share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from selfheal.db import queries
from selfheal.db.encoding import json, storable
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_all, fetch_one
from selfheal.db.types import Origin, Stage, Trial

_SQL = queries.load("trials")
_RESULT: Final = ("outcome", "passed", "score", "executed", "calls", "tokens")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposed prompt. Ordinals count from 1: arm 0 of a trial is the incumbent."""

    healing_id: UUID
    ordinal: int
    round: int
    origin: Origin
    text: str
    rationale: str


async def looks(connection: Connection, healing_id: UUID, cases: Sequence[str]) -> dict[str, int]:
    """Return how many earlier healings used each case in the gate; unused cases are left out."""
    cursor = await connection.execute(_SQL["looks"], {"id": healing_id, "cases": list(cases)})
    return {row["case_id"]: row["looks"] for row in await cursor.fetchall()}


async def add_candidate(connection: Connection, candidate: Candidate) -> None:
    """Store a candidate; replace one with the same ordinal."""
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
    return await fetch_all(connection, _SQL["candidates"], {"healing_id": healing_id}, Candidate)


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
    """Store a trial, unless it is stored already.

    Args:
        connection: to the database.
        healing_id: the healing.
        stage: the decision that the trial is for.
        arm: 0 for the incumbent, or the ordinal of a candidate.
        case_id: the case.
        take: 0, or more for a repetition.
        result: `outcome`, `passed`, `score`, `executed`, `calls` and `tokens`.

    Returns:
        The stored trial: an earlier one, if there was one.
    """
    values = {
        "healing_id": healing_id,
        "stage": stage,
        "arm": arm,
        "case_id": case_id,
        "take": take,
        **{name: result[name] for name in _RESULT},
    }
    return await fetch_one(connection, _SQL["add_trial"], values, Trial)


async def copy_gate(
    connection: Connection,
    healing_id: UUID,
    to_healing: UUID,
    *,
    arm: int,
    to: int,
    cases: Sequence[str],
) -> None:
    """Copy the gate's trials of a candidate and the incumbent to another healing, as paid.

    Args:
        connection: to the database.
        healing_id: the healing that they were made for.
        to_healing: the one that continues with them.
        arm: the ordinal of the candidate there.
        to: its ordinal here.
        cases: whose trials.
    """
    values = {
        "from": healing_id,
        "healing_id": to_healing,
        "arm": arm,
        "to": to,
        "cases": list(cases),
    }
    await connection.execute(_SQL["copy_gate"], values)


async def trials(connection: Connection, healing_id: UUID) -> list[Trial]:
    """Return a healing's trials in the order of their end."""
    return await fetch_all(connection, _SQL["trials"], {"healing_id": healing_id}, Trial)


async def add_plan(
    connection: Connection, healing_id: UUID, case_id: str, plan: Mapping[str, object]
) -> None:
    """Store the plan that all arms of a case share."""
    values = {"healing_id": healing_id, "case_id": case_id, "plan": json(plan)}
    await connection.execute(_SQL["add_plan"], values)


async def add_golden_plan(
    connection: Connection, key: str, manager_version: int, model: str, plan: Mapping[str, object]
) -> None:
    """Keep the plan of a golden case for later healings; it replaces that of another version.

    Args:
        connection: to the database.
        key: names the golden case and its text.
        manager_version: the version of the manager's prompt that the plan was made under.
        model: the model that made it.
        plan: the plan.
    """
    values = {
        "key": key,
        "manager_version": manager_version,
        "model": model,
        "plan": json(plan),
    }
    await connection.execute(_SQL["add_golden_plan"], values)


async def golden_plans(
    connection: Connection, manager_version: int, model: str
) -> dict[str, dict[str, Any]]:
    """Return the plans of golden cases that this version made with this model, by key."""
    values = {"manager_version": manager_version, "model": model}
    cursor = await connection.execute(_SQL["golden_plans"], values)
    return {row["key"]: row["plan"] for row in await cursor.fetchall()}


async def plans(connection: Connection, healing_id: UUID) -> dict[str, dict[str, Any]]:
    """Return a healing's plans by case."""
    cursor = await connection.execute(_SQL["plans"], {"healing_id": healing_id})
    return {row["case_id"]: row["plan"] for row in await cursor.fetchall()}
