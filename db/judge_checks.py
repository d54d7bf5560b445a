"""What was found of the judge: how far it agrees with the golden verdicts."""

from dataclasses import asdict, dataclass
from datetime import datetime

from selfheal.db import queries
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_all, fetch_one, fetch_optional

_SQL = queries.load("judge_checks")


@dataclass(frozen=True, slots=True)
class JudgeCheck:
    """One check: on how many of the verdicts asked about a judge agreed, and whether it drifted."""

    id: int
    model: str
    prompt_version: int
    asked: int
    agreed: int
    drifted: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """The right of one process to ask a judge in one hour, with the calls reserved for it."""

    model: str
    prompt_version: int
    slot: int


async def take_turn(
    connection: Connection, *, model: str, prompt_version: int, calls: int, daily: int
) -> Turn | None:
    """Take the right to ask a judge; None if it was asked today, or is being asked.

    None, too, if so many calls exceed the day's allowance.
    """
    values = {"model": model, "prompt_version": prompt_version, "calls": calls, "daily": daily}
    return await fetch_optional(connection, _SQL["take_turn"], values, Turn)


async def settle(connection: Connection, turn: Turn, calls: int) -> None:
    """Give back what was reserved for a turn and not used."""
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
    """Return a check, if there is one with this number."""
    return await fetch_optional(connection, _SQL["get"], {"id": check_id}, JudgeCheck)


async def fresh(connection: Connection, model: str, prompt_version: int) -> JudgeCheck | None:
    """Return today's newest check of this very judge, if it was well."""
    values = {"model": model, "prompt_version": prompt_version}
    return await fetch_optional(connection, _SQL["fresh"], values, JudgeCheck)


async def sound(connection: Connection, limit: int = 5) -> list[JudgeCheck]:
    """Return the newest checks at which the judge was well, newest first."""
    return await fetch_all(connection, _SQL["sound"], {"limit": limit}, JudgeCheck)
