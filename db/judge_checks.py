"""Checks of the judge: on how many golden verdicts it agreed, and whether it had drifted."""

from dataclasses import asdict, dataclass
from datetime import datetime

from selfheal.db import queries
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_all, fetch_one, fetch_optional

_SQL = queries.load("judge_checks")


@dataclass(frozen=True, slots=True)
class JudgeCheck:
    """One check of a judge.

    Attributes:
        id: counts up over all checks.
        model: the judge's model.
        prompt_version: the version of the evaluator's prompt.
        asked: how many golden verdicts it answered.
        agreed: on how many of them it agreed.
        drifted: it agreed on too few.
        created_at: when it was checked.
    """

    id: int
    model: str
    prompt_version: int
    asked: int
    agreed: int
    drifted: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CheckClaim:
    """The right of one process to check a judge in one hour, with the calls reserved for it.

    `slot` is the hour, counted since 1970.
    """

    model: str
    prompt_version: int
    slot: int


async def claim_check(
    connection: Connection, *, model: str, prompt_version: int, calls: int, daily: int
) -> CheckClaim | None:
    """Claim the daily check of a judge.

    Args:
        connection: to the database.
        model: the judge's model.
        prompt_version: the version of the evaluator's prompt.
        calls: the model calls to reserve.
        daily: the most model calls that may be reserved within 24 hours.

    Returns:
        The claim; None if the judge was checked within 24 hours, is being checked, or the calls
        exceed the day's limit.
    """
    values = {"model": model, "prompt_version": prompt_version, "calls": calls, "daily": daily}
    return await fetch_optional(connection, _SQL["claim_check"], values, CheckClaim)


async def settle(connection: Connection, claim: CheckClaim, calls: int) -> None:
    """Replace the calls that were reserved for a claim by those that were made."""
    await connection.execute(_SQL["settle"], {**asdict(claim), "calls": calls})


async def add(
    connection: Connection,
    *,
    model: str,
    prompt_version: int,
    asked: int,
    agreed: int,
    drifted: bool,
) -> JudgeCheck:
    """Store a check."""
    values = {
        "model": model,
        "prompt_version": prompt_version,
        "asked": asked,
        "agreed": agreed,
        "drifted": drifted,
    }
    return await fetch_one(connection, _SQL["add"], values, JudgeCheck)


async def get(connection: Connection, check_id: int) -> JudgeCheck | None:
    """Return a check by its id; None if there is none."""
    return await fetch_optional(connection, _SQL["get"], {"id": check_id}, JudgeCheck)


async def recent(connection: Connection, model: str, prompt_version: int) -> JudgeCheck | None:
    """Return the newest check of this judge within 24 hours; None if it failed or there is none."""
    values = {"model": model, "prompt_version": prompt_version}
    return await fetch_optional(connection, _SQL["recent"], values, JudgeCheck)


async def latest_calibrated(connection: Connection, limit: int = 5) -> list[JudgeCheck]:
    """Return the newest checks that were passed, of any judge, newest first."""
    return await fetch_all(connection, _SQL["latest_calibrated"], {"limit": limit}, JudgeCheck)
