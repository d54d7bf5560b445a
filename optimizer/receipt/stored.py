"""The rows that a receipt is verified against."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

from selfheal.db import healings, judge_checks, prompts, runs, trials
from selfheal.db.errors import NotFoundError
from selfheal.db.healings import Cost, Healing
from selfheal.db.judge_checks import JudgeCheck
from selfheal.db.pool import Connection
from selfheal.db.prompts import Prompt
from selfheal.db.trials import Candidate
from selfheal.db.types import Release, Trial
from selfheal.optimizer.dataset.failure_digest import failure_of_run
from selfheal.optimizer.evaluation.judge_drift import flag_as_recorded
from selfheal.optimizer.records.diagnosis import FailureRecord
from selfheal.optimizer.records.judge import JudgeFlag

_NO_ID: Final = 2**63  # no bigint is as large


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
        anchor: the checks that the receipt names as the judge's anchor.
        flag: the judge's flag that the receipt names; None if it names none.
        failures: what rules see of the failed runs that the receipt names, of those that are still
            in the log, in its order.
        kept_trials: those of the healing that kept the candidate that this one began with.
        written: the versions of the agent's prompt that existed before it was closed.
    """

    healing: Healing
    incumbent: str | None
    candidates: Sequence[Candidate]
    trials: Sequence[Trial]
    costs: Sequence[Cost]
    releases: Sequence[Release]
    check: JudgeCheck | None
    anchor: Sequence[JudgeCheck]
    flag: JudgeFlag | None
    failures: Sequence[FailureRecord]
    kept_trials: Sequence[Trial] = ()
    written: Sequence[Prompt] = ()


async def read(connection: Connection, healing_id: UUID) -> Stored:
    """Read all that is stored of a healing.

    Raises:
        NotFoundError: there is none.
    """
    healing = await healings.get(connection, healing_id)
    log = await prompts.releases(connection, healing.agent, limit=1000)
    judge = _fields(_receipt(healing).get("judge"))
    check = _id(judge.get("check"))
    anchor = [_id(_fields(each).get("check")) for each in _items(judge.get("compared"))]
    flag = _id(_fields(judge.get("flag")).get("id"))
    kept = _kept_in(healing)
    return Stored(
        healing=healing,
        incumbent=await _text(connection, healing),
        candidates=await trials.candidates(connection, healing_id),
        trials=await trials.trials(connection, healing_id),
        costs=await healings.costs(connection, healing_id),
        releases=[each for each in reversed(log) if each.healing_id == healing_id],
        check=await judge_checks.get(connection, check),
        anchor=await judge_checks.of_ids(connection, anchor),
        flag=await _flag(connection, flag),
        failures=await _failures(connection, healing),
        kept_trials=await trials.trials(connection, kept) if kept else (),
        written=[
            each
            for each in await prompts.versions(connection, healing.agent)
            if healing.closed_at is None or each.created_at <= healing.closed_at
        ],
    )


def _kept_in(healing: Healing) -> UUID | None:
    """Return the id of the healing that kept the candidate that this one began with, if any."""
    kept = _fields(_receipt(healing).get("kept_candidate")).get("healing_id")
    try:
        return UUID(str(kept)) if kept else None
    except ValueError:  # a receipt need not fit its schema
        return None


async def _flag(connection: Connection, flag_id: int) -> JudgeFlag | None:
    """Return a flag as receipts have it; None if there is none."""
    flag = await judge_checks.flag(connection, flag_id)
    check = await judge_checks.get(connection, flag.check_id) if flag else None
    return flag_as_recorded(flag, check) if flag and check else None


async def _failures(connection: Connection, healing: Healing) -> list[FailureRecord]:
    rows = _items(_receipt(healing).get("failures"))
    listed = [str(_fields(each).get("run_id")) for each in rows]
    ids: list[UUID] = []
    for each in listed:
        with contextlib.suppress(ValueError):  # a receipt need not fit its schema
            ids.append(UUID(each))
    found = {str(run.id): run for run in await runs.of_ids(connection, ids)}
    kept = [found[each] for each in listed if each in found]
    return await asyncio.to_thread(lambda: [failure_of_run(run) for run in kept])


def _receipt(healing: Healing) -> Mapping[str, object]:
    return _fields(healing.receipt)


def _fields(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _id(value: object) -> int:
    """Return an id that a receipt names; 0, which no row has, if it names none."""
    return value if isinstance(value, int) and 0 <= value < _NO_ID else 0


async def _text(connection: Connection, healing: Healing) -> str | None:
    try:
        prompt = await prompts.get(connection, healing.agent, healing.incumbent_version)
    except NotFoundError:
        return None
    return prompt.text
