"""Checks of the judge: its agreement with the golden verdicts."""

from dataclasses import asdict, dataclass
from datetime import datetime

from selfheal.db import queries
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_all, fetch_one, fetch_optional

_SQL = queries.load("judge_checks")


@dataclass(frozen=True, slots=True)
class JudgeCheck:
    """One check: on how many of the verdicts asked the judge agreed, and whether it drifted."""

    id: int
    model: str
    prompt_version: int
    asked: int
    agreed: int
    drifted: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """The right of one process to check a judge in an hour, with the calls reserved for it."""

    model: str
    prompt_version: int
    slot: int


async def take_turn(
    connection: Connection, *, model: str, prompt_version: int, calls: int, daily: int
) -> Turn | None:
    """Take the right to check a judge.

    Args:
        connection: where it is stored.
        model: of the judge.
        prompt_version: of the evaluator's prompt.
        calls: to reserve.
        daily: the calls allowed in a day.

    Returns:
        None if it was checked today, is being checked, or the calls exceed the day's allowance.
    """
    values = {"model": model, "prompt_version": prompt_version, "calls": calls, "daily": daily}
    return await fetch_optional(connection, _SQL["take_turn"], values, Turn)


async def settle(connection: Connection, turn: Turn, calls: int) -> None:
    """Release the calls that were reserved and not used.

    Args:
        connection: where it is stored.
        turn: the right.
        calls: that were used.
    """
    await connection.execute(_SQL["settle"], {**asdict(turn), "calls": calls})


async def add(
    connection: Connection,
    *,
    model: str,
    prompt_version: int,
    asked: int,
    agreed: int,
    drifted: bool,
) -> JudgeCheck:
    """Record a check."""
    values = {
        "model": model,
        "prompt_version": prompt_version,
        "asked": asked,
        "agreed": agreed,
        "drifted": drifted,
    }
    return await fetch_one(connection, _SQL["add"], values, JudgeCheck)


async def get(connection: Connection, check_id: int) -> JudgeCheck | None:
    """Return a check, None if there is none with this id."""
    return await fetch_optional(connection, _SQL["get"], {"id": check_id}, JudgeCheck)


async def fresh(connection: Connection, model: str, prompt_version: int) -> JudgeCheck | None:
    """Return today's newest check of this model and prompt, if it found no drift."""
    values = {"model": model, "prompt_version": prompt_version}
    return await fetch_optional(connection, _SQL["fresh"], values, JudgeCheck)


async def sound(connection: Connection, limit: int = 5) -> list[JudgeCheck]:
    """Return the newest checks without drift, newest first."""
    return await fetch_all(connection, _SQL["sound"], {"limit": limit}, JudgeCheck)
