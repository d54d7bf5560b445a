"""detect: more failures than the last good version explains."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from langgraph.runtime import Runtime

from db import healings, prompts, runs
from db.healings import Healing
from db.pool import Connection
from db.runs import Run
from optimizer.context import Given, Rules, doctor_of
from optimizer.state import State, Version
from optimizer.statistics import DETECT_AT, surprise

GOOD_RATE: Final = 0.8
ENOUGH_RUNS: Final = 5
FIRST_WAIT: Final = timedelta(hours=1)
LONGEST_WAIT: Final = timedelta(hours=24)
WAIT_AFTER_ERROR: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Situation:
    """What detection decides upon: the live version's recent runs, and how the others did."""

    runs: Sequence[Run]
    errors: int
    record: dict[int, tuple[int, int]]
    incumbent: int
    tried: Sequence[Healing]
    now: datetime
    calls_today: int = 0

    @property
    def failures(self) -> list[Run]:
        """The runs that a prompt may be to blame for, newest first."""
        return [run for run in self.runs if run.outcome in ("failed", "output")]


async def detect(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Look at the failure window of the live version."""
    doctor = doctor_of(runtime)
    agent = state["agent"]
    async with doctor.database.connection() as connection:
        live = await prompts.released(connection, agent)
        situation = await _look(connection, agent, live.version, doctor.rules)
        good = last_good(situation.record, live.version)
        earlier = await prompts.get(connection, agent, good) if good else None
    found: dict[str, Any] = {
        "incumbent": Version(version=live.version, text=live.text),
        "last_good": Version(version=earlier.version, text=earlier.text) if earlier else None,
        "failed_run_ids": [str(run.id) for run in situation.failures],
        "errors": situation.errors,
    }
    if not state.get("forced") and (verdict := judge(situation, doctor.rules)):
        found["outcome"], found["reason"] = verdict
    return found


async def _look(connection: Connection, agent: str, version: int, rules: Rules) -> Situation:
    minutes = rules.window_minutes
    return Situation(
        runs=await runs.window(connection, agent, version, minutes=minutes),
        errors=await runs.errors(connection, minutes=minutes),
        record=await runs.record(connection, agent, version, minutes=minutes),
        incumbent=version,
        tried=await healings.of_version(connection, "worker", version),
        now=datetime.now(UTC),
        calls_today=await healings.reserved_today(connection),
    )


def judge(situation: Situation, rules: Rules) -> tuple[str, str] | None:
    """Return why nothing is to be done, as outcome and words; None if something is."""
    failures = len(situation.failures)
    if failures + situation.errors < rules.failure_threshold:
        return "healthy", f"{failures} failed runs within {rules.window_minutes} minutes"
    if failures >= rules.failure_threshold and (usual := _usual(situation, failures)):
        return "healthy", usual
    if waiting := cooling(situation, rules):
        return "cooling_down", waiting
    return None


def _usual(situation: Situation, failures: int) -> str:
    """Say that the failures are no more than the last good version has, or nothing."""
    rate = _good_failure_rate(situation)
    if rate is None:
        return ""
    chance = surprise(failures, len(situation.runs), rate)
    if chance <= DETECT_AT:
        return ""
    return (
        f"{failures} of {len(situation.runs)} runs failed, no more than is usual (p = {chance:.2g})"
    )


def _good_failure_rate(situation: Situation) -> float | None:
    """Return the failure rate of the newest version that was good, smoothed for small counts."""
    for version in sorted(situation.record, reverse=True):
        seen, passed = situation.record[version]
        if _is_good(seen, passed):
            return (seen - passed + 1) / (seen + 2)
    return None


def last_good(record: dict[int, tuple[int, int]], incumbent: int) -> int | None:
    """Return the newest other version that did well: where a hurried edit is best reverted to."""
    good = [v for v, (seen, passed) in record.items() if v != incumbent and _is_good(seen, passed)]
    return max(good, default=None)


def _is_good(seen: int, passed: int) -> bool:
    return seen >= ENOUGH_RUNS and passed / seen >= GOOD_RATE


def cooling(situation: Situation, rules: Rules) -> str:
    """Say why it is too early to try again for this incumbent, or nothing.

    After a rejection: an hour, doubling to a day, and so many new failures.
    """
    if situation.calls_today >= rules.daily_calls:
        return f"the day's {rules.daily_calls} model calls are spent"
    if not situation.tried:
        return ""
    last = situation.tried[0]
    closed = last.closed_at or situation.now
    rejections = sum(not healing.errored for healing in situation.tried)
    wait = (
        WAIT_AFTER_ERROR
        if last.errored
        else min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(rejections - 1, 5))
    )
    if situation.now < closed + wait:
        return (
            f"the last healing ended without a release; not again before {closed + wait:%H:%M} UTC"
        )
    new = [run for run in situation.failures if run.finished_at and run.finished_at > closed]
    if len(new) < rules.failure_threshold:
        return f"only {len(new)} new failures since the last healing"
    return ""
