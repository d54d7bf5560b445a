"""detect: more failures than the last good version explains."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from langgraph.runtime import Runtime

from selfheal.db import healings, prompts, runs
from selfheal.db.healings import Healing
from selfheal.db.pool import Connection
from selfheal.db.prompts import Prompt
from selfheal.db.runs import Errors, Run
from selfheal.db.types import AGENTS, Agent
from selfheal.optimizer.context import Given, Rules, doctor_of
from selfheal.optimizer.dataset.predecessors import earlier_versions
from selfheal.optimizer.state import NewestError, State, Version, on_diet
from selfheal.optimizer.statistics import DETECT_AT, surprise
from selfheal.optimizer.text.sentences import split_sentences

GOOD_RATE: Final = 0.8
ENOUGH_RUNS: Final = 5
FIRST_WAIT: Final = timedelta(hours=1)
LONGEST_WAIT: Final = timedelta(hours=24)
WAIT_AFTER_ERROR: Final = timedelta(minutes=10)
_WORKING: Final[tuple[Agent, ...]] = ("manager", "worker")


@dataclass(frozen=True, slots=True)
class Situation:
    """What detection decides upon: the deployment's recent runs, and how each version did.

    Attributes:
        records: of manager and worker, for each version how many verdicts it has, and passes.
        tried: the closed healings of a version that is live, newest first.
    """

    runs: Sequence[Run]
    errors: Errors | None
    records: Mapping[Agent, dict[int, tuple[int, int]]]
    tried: Sequence[Healing]
    now: datetime
    calls_today: int = 0

    @property
    def failures(self) -> list[Run]:
        """The runs that a prompt may be to blame for, newest first."""
        return [run for run in self.runs if run.outcome in ("failed", "output")]


async def detect(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Look at the failure window of what is live: of all three agents together."""
    doctor = doctor_of(runtime)
    async with doctor.database.connection() as connection:
        live = {agent: await prompts.released(connection, agent) for agent in AGENTS}
        numbers = {agent: prompt.version for agent, prompt in live.items()}
        situation = await _look(connection, numbers, doctor.rules)
        goods = [
            await prompts.get(connection, agent, good)
            for agent in _WORKING
            if (good := last_good(situation.records[agent], numbers[agent]))
        ]
        found_good = _versions(goods)
        earlier = {
            agent: await earlier_versions(connection, version, agent, found_good.get(agent))
            for agent, version in _versions(live.values()).items()
        }
        dieted = on_diet(state) and await healings.dieted(
            connection, state["agent"], numbers[state["agent"]]
        )
    found: dict[str, Any] = {
        "incumbents": _versions(live.values()),
        "last_goods": found_good,
        "earlier": earlier,
        "tried": sorted({each.agent for each in situation.tried if _in_vain(each)}),
        "failed_run_ids": [str(run.id) for run in situation.failures],
        **_counted_out(situation.errors),
    }
    if on_diet(state):  # it looks at what is asked for, whether that failed or not
        found["failed_run_ids"] = []
        if refused := no_diet(live[state["agent"]], dieted, situation, doctor.rules):
            found["outcome"], found["reason"] = refused
    elif not state.get("forced") and (verdict := judge(situation, doctor.rules)):
        found["outcome"], found["reason"] = verdict
    return found


def _counted_out(errors: Errors | None) -> dict[str, Any]:
    """Return the runs that no prompt is to blame for, and why the newest one failed."""
    if errors is None:
        return {"errors": 0}
    newest = NewestError(run_id=str(errors.run_id), outcome=errors.outcome, message=errors.message)
    return {"errors": errors.count, "newest_error": newest}


def no_diet(
    live: Prompt, dieted: bool, situation: Situation, rules: Rules
) -> tuple[str, str] | None:
    """Return why a version goes on no diet, as outcome and words; None if it may."""
    name = f"the {live.agent}'s version {live.version}"
    if len(split_sentences(live.text, 2)) < 2:
        return "healthy", f"{name} is of one sentence"
    if dieted:
        return "cooling_down", f"{name} was on a diet before, or came of one: once is enough"
    if situation.calls_today >= rules.daily_calls:
        return "cooling_down", _spent(rules)
    return None


def _spent(rules: Rules) -> str:
    return f"the day's {rules.daily_calls} model calls are spent"


def _in_vain(healing: Healing) -> bool:
    return healing.outcome == "rejected" and not healing.errored


def _versions(found: Iterable[Prompt]) -> dict[Agent, Version]:
    return {each.agent: Version(version=each.version, text=each.text) for each in found}


async def _look(connection: Connection, live: Mapping[Agent, int], rules: Rules) -> Situation:
    minutes = rules.window_minutes
    tried = [
        healing
        for agent, version in live.items()
        for healing in await healings.of_version(connection, agent, version)
    ]
    now = datetime.now(UTC)
    return Situation(
        runs=await runs.window(connection, live, minutes=minutes),
        errors=await runs.errors(connection, minutes=minutes),
        records={
            agent: await runs.record(connection, agent, live, minutes=minutes) for agent in _WORKING
        },
        tried=sorted(tried, key=lambda each: each.closed_at or now, reverse=True),
        now=now,
        calls_today=await healings.reserved_today(connection),
    )


def judge(situation: Situation, rules: Rules) -> tuple[str, str] | None:
    """Return why nothing is to be done, as outcome and words; None if something is."""
    failures = len(situation.failures)
    errors = situation.errors.count if situation.errors else 0
    if failures + errors < rules.failure_threshold:
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
    """Return the failure rate to expect: the lower one of the two agents' good versions."""
    rates = [rate for each in situation.records.values() if (rate := _rate_of_newest(each))]
    return min(rates, default=None)


def _rate_of_newest(record: Mapping[int, tuple[int, int]]) -> float | None:
    """Return the failure rate of the newest version that was good, smoothed for small counts."""
    for version in sorted(record, reverse=True):
        seen, passed = record[version]
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
        return _spent(rules)
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
