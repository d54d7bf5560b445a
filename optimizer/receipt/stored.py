"""The rows that a receipt is verified against."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from selfheal.db import healings, judge_checks, prompts, trials
from selfheal.db.errors import NotFoundError
from selfheal.db.healings import Cost, Healing
from selfheal.db.judge_checks import JudgeCheck
from selfheal.db.pool import Connection
from selfheal.db.prompts import Prompt
from selfheal.db.trials import Candidate
from selfheal.db.types import Release, Trial


class Compared(NamedTuple):
    """One thing of a receipt: as it is recorded, and as it is when it is recomputed."""

    what: str
    recorded: object
    recomputed: object


@dataclass(frozen=True, slots=True)
class Stored:
    """The rows of one closed healing.

    Attributes:
        healing: its row, with how it ended and what followed.
        incumbent: the text of the version that it started from; None if there is none.
        releases: the steps of the release log that name this healing, oldest first.
        check: what was found of the judge; None if it was not checked.
        written: the versions of the agent's prompt that existed before it was closed.
    """

    healing: Healing
    incumbent: str | None
    candidates: Sequence[Candidate]
    trials: Sequence[Trial]
    costs: Sequence[Cost]
    releases: Sequence[Release]
    check: JudgeCheck | None
    written: Sequence[Prompt] = ()


async def read(connection: Connection, healing_id: UUID) -> Stored:
    """Read all that is stored of a healing.

    Raises:
        NotFoundError: there is none.
    """
    healing = await healings.get(connection, healing_id)
    log = await prompts.releases(connection, healing.agent, limit=1000)
    check = _check_id(healing)
    return Stored(
        healing=healing,
        incumbent=await _text(connection, healing),
        candidates=await trials.candidates(connection, healing_id),
        trials=await trials.trials(connection, healing_id),
        costs=await healings.costs(connection, healing_id),
        releases=[each for each in reversed(log) if each.healing_id == healing_id],
        check=None if check is None else await judge_checks.get(connection, check),
        written=[
            each
            for each in await prompts.versions(connection, healing.agent)
            if healing.closed_at is None or each.created_at <= healing.closed_at
        ],
    )


def _check_id(healing: Healing) -> int | None:
    """Return the id of the judge's check that a receipt names, if it names one."""
    judge = (healing.receipt or {}).get("judge")
    check = judge.get("check") if isinstance(judge, dict) else None
    return check if isinstance(check, int) else None


async def _text(connection: Connection, healing: Healing) -> str | None:
    try:
        prompt = await prompts.get(connection, healing.agent, healing.incumbent_version)
    except NotFoundError:
        return None
    return prompt.text
