"""Checks of the judge on golden verdicts, and the flags that are raised when it drifts."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from selfheal.db import queries
from selfheal.db.encoding import json
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_all, fetch_one, fetch_optional, fetch_value
from selfheal.db.reasons import Reason

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
        drifted: its flag stood after this check, so that it is not a sound one.
        complete: all golden verdicts were asked, not only some thirds of them.
        created_at: when it was checked.
    """

    id: int
    model: str
    prompt_version: int
    asked: int
    agreed: int
    drifted: bool
    complete: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class JudgeFlag:
    """The record that a judge drifted; it stands until `lifted_at`.

    Attributes:
        check_id: the check that raised it.
        usual_agreed: with `usual_asked` the anchor that it was compared with; None where there was
            none, so that the check was compared with the floor.
        lifted_by: who lifted it: an operator, or `optimizer` after the judge recovered.
        reason: why it was lifted; an operator's own words are a `note`.
        anchor_after: where an operator lifted it, the newest check at that time: only later ones
            belong to the judge's anchor.
    """

    id: int
    model: str
    prompt_version: int
    check_id: int
    usual_agreed: int | None
    usual_asked: int | None
    raised_at: datetime
    lifted_at: datetime | None
    lifted_by: str | None
    reason: Reason | None
    anchor_after: int | None


@dataclass(frozen=True, slots=True)
class EarlierVersion:
    """Another version of the evaluator's prompt that a model passed a check under."""

    prompt_version: int
    flagged: bool


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
    complete: bool = False,
) -> JudgeCheck:
    """Store a check."""
    values = {
        "model": model,
        "prompt_version": prompt_version,
        "asked": asked,
        "agreed": agreed,
        "drifted": drifted,
        "complete": complete,
    }
    return await fetch_one(connection, _SQL["add"], values, JudgeCheck)


async def get(connection: Connection, check_id: int) -> JudgeCheck | None:
    """Return a check by its id; None if there is none."""
    return await fetch_optional(connection, _SQL["get"], {"id": check_id}, JudgeCheck)


async def recent(connection: Connection, model: str, prompt_version: int) -> JudgeCheck | None:
    """Return the newest check of this judge within 24 hours; None if it failed or there is none."""
    values = {"model": model, "prompt_version": prompt_version}
    return await fetch_optional(connection, _SQL["recent"], values, JudgeCheck)


async def of_ids(connection: Connection, ids: Sequence[int]) -> list[JudgeCheck]:
    """Return the checks with these ids, oldest first; unknown ids are ignored."""
    return await fetch_all(connection, _SQL["of_ids"], {"ids": list(ids)}, JudgeCheck)


async def count(connection: Connection, model: str, prompt_version: int) -> int:
    """Return how many checks of a judge are stored."""
    values = {"model": model, "prompt_version": prompt_version}
    return int(await fetch_value(connection, _SQL["count"], values))


async def anchor(
    connection: Connection, model: str, prompt_version: int, limit: int
) -> list[JudgeCheck]:
    """Return a judge's first sound checks, oldest first, since an operator last accepted it."""
    values = {"model": model, "prompt_version": prompt_version, "limit": limit}
    return await fetch_all(connection, _SQL["anchor"], values, JudgeCheck)


async def earlier_version(
    connection: Connection, model: str, prompt_version: int
) -> EarlierVersion | None:
    """Return the newest other version of the evaluator's prompt that a model passed under.

    Returns:
        The version; None if there is none, or an operator has accepted this judge as it is.
    """
    values = {"model": model, "prompt_version": prompt_version}
    return await fetch_optional(connection, _SQL["earlier_version"], values, EarlierVersion)


async def complete_since(
    connection: Connection, model: str, prompt_version: int, after: int
) -> list[JudgeCheck]:
    """Return a judge's checks of all golden verdicts after the check `after`, newest first."""
    values = {"model": model, "prompt_version": prompt_version, "after": after}
    return await fetch_all(connection, _SQL["complete_since"], values, JudgeCheck)


async def lock(connection: Connection, model: str, prompt_version: int) -> None:
    """Wait until no other transaction assesses this judge, and keep others waiting."""
    await connection.execute(_SQL["lock"], {"model": model, "prompt_version": prompt_version})


async def now(connection: Connection) -> datetime:
    """Return the database's time."""
    found: datetime = await fetch_value(connection, _SQL["now"])
    return found


async def standing_flag(
    connection: Connection, model: str, prompt_version: int
) -> JudgeFlag | None:
    """Return a judge's flag; None if none stands."""
    values = {"model": model, "prompt_version": prompt_version}
    return await fetch_optional(connection, _SQL["standing_flag"], values, JudgeFlag)


async def flag(connection: Connection, flag_id: int) -> JudgeFlag | None:
    """Return a flag by its id, standing or lifted; None if there is none."""
    return await fetch_optional(connection, _SQL["flag"], {"id": flag_id}, JudgeFlag)


async def raise_flag(
    connection: Connection, check: JudgeCheck, usual: tuple[int, int] | None
) -> JudgeFlag:
    """Raise the flag of a judge that has none.

    Args:
        connection: where it is stored.
        check: the check that shows the drift.
        usual: the anchor that it was compared with, as (agreed, asked); None without one.
    """
    agreed, asked = usual or (None, None)
    values = {
        "model": check.model,
        "prompt_version": check.prompt_version,
        "check_id": check.id,
        "usual_agreed": agreed,
        "usual_asked": asked,
    }
    return await fetch_one(connection, _SQL["raise_flag"], values, JudgeFlag)


async def lift_flag(
    connection: Connection,
    model: str,
    prompt_version: int,
    *,
    actor: str,
    reason: Reason,
    accepted: bool,
) -> JudgeFlag | None:
    """Lift a judge's flag.

    Args:
        connection: where it is stored.
        model: the judge's model.
        prompt_version: the version of the evaluator's prompt.
        actor: who lifts it.
        reason: why.
        accepted: an operator accepts the judge as it is now, so that its anchor starts anew.

    Returns:
        The flag; None if none stood.
    """
    values = {
        "model": model,
        "prompt_version": prompt_version,
        "actor": actor,
        "reason": json(reason),
        "accepted": accepted,
    }
    return await fetch_optional(connection, _SQL["lift_flag"], values, JudgeFlag)
