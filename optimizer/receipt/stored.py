"""What the database keeps of a healing: what its receipt is held against."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from selfheal.db import healings, judge_checks, prompts, trials
from selfheal.db.errors import NotFoundError
from selfheal.db.healings import Cost, Healing
from selfheal.db.judge_checks import JudgeCheck
from selfheal.db.pool import Connection
from selfheal.db.prompts import Release
from selfheal.db.trials import Candidate
from selfheal.db.types import Trial


@dataclass(frozen=True, slots=True)
class Stored:
    """The rows of one closed healing.

    Attributes:
        healing: its row, with how it ended and what became of that later.
        incumbent: the text of the version that it began from; null if there is no such version.
        releases: the steps of the release log that name this healing, oldest first.
        check: what was found of the judge; null if it was not asked about.
    """

    healing: Healing
    incumbent: str | None
    candidates: Sequence[Candidate]
    trials: Sequence[Trial]
    costs: Sequence[Cost]
    releases: Sequence[Release]
    check: JudgeCheck | None


async def read(connection: Connection, healing_id: UUID) -> Stored:
    """Read all that is kept of a healing.

    Raises:
        NotFoundError: there is none.
    """
    healing = await healings.get(connection, healing_id)
    log = await prompts.releases(connection, healing.agent, limit=1000)
    judge: dict[str, Any] = (healing.receipt or {}).get("judge") or {}
    return Stored(
        healing=healing,
        incumbent=await _text(connection, healing),
        candidates=await trials.candidates(connection, healing_id),
        trials=await trials.trials(connection, healing_id),
        costs=await healings.costs(connection, healing_id),
        releases=[each for each in reversed(log) if each.healing_id == healing_id],
        check=await judge_checks.get(connection, judge["check"]) if "check" in judge else None,
    )


async def _text(connection: Connection, healing: Healing) -> str | None:
    try:
        prompt = await prompts.get(connection, healing.agent, healing.incumbent_version)
    except NotFoundError:
        return None
    return prompt.text
