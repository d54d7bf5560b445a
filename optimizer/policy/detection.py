"""Whether to open a healing: there are more failures than usual, and it is not too soon."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

from selfheal.db.reasons import Reason, because
from selfheal.db.types import Agent
from selfheal.optimizer.state import Outcome, Version
from selfheal.optimizer.statistics import DETECT_AT, surprise
from selfheal.optimizer.text.sentences import split_sentences

GOOD_RATE: Final = 0.8
ENOUGH_RUNS: Final = 5
FIRST_WAIT: Final = timedelta(hours=1)
LONGEST_WAIT: Final = timedelta(hours=24)
WAIT_AFTER_ERROR: Final = timedelta(minutes=10)


class Limits(Protocol):
    """The settings that detection depends on."""

    @property
    def failure_threshold(self) -> int:
        """The least number of failures."""

    @property
    def failure_window_minutes(self) -> int:
        """How far back failures count."""

    @property
    def heal_daily_calls(self) -> int:
        """Model calls a day that healings may make."""


class Record(NamedTuple):
    """How many of a version's runs have a verdict, and how many of these passed."""

    runs: int
    passed: int


@dataclass(frozen=True, slots=True)
class PastHealing:
    """A closed healing of a live version that released nothing; `kept`: it kept a candidate."""

    closed_at: datetime
    errored: bool
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Situation:
    """What detection decides on, of the failure window.

    Attributes:
        runs: how many runs of the live versions ended, those without a verdict included.
        failures: when each of those ended that a prompt may have caused.
        errors: how many runs ended without a verdict.
        records: of manager and worker, how each version has done.
        tried: newest first.
        calls_today: model calls reserved in 24 hours.
    """

    runs: int
    failures: Sequence[datetime]
    errors: int
    records: Mapping[Agent, Mapping[int, Record]]
    tried: Sequence[PastHealing]
    now: datetime
    calls_today: int = 0


class NoHealing(NamedTuple):
    """The outcome where no healing is to be opened, and why."""

    outcome: Outcome
    reason: Reason


def decide(situation: Situation, limits: Limits) -> NoHealing | None:
    """Return why no healing is to be opened; None if one is."""
    failures = len(situation.failures)
    if failures + situation.errors < limits.failure_threshold:
        minutes = limits.failure_window_minutes
        return NoHealing("healthy", because("few_failures", failures=failures, minutes=minutes))
    if failures >= limits.failure_threshold and (usual := _as_usual(situation)):
        return NoHealing("healthy", usual)
    if waiting := cooling_down(situation, limits):
        return NoHealing("cooling_down", waiting)
    return None


def decide_shortening(
    agent: Agent, live: Version, situation: Situation, limits: Limits, *, shortened: bool
) -> NoHealing | None:
    """Return why a version is not to be shortened; None if it may be.

    Args:
        agent: whose prompt it is.
        live: the version.
        situation: of which only the budget matters.
        limits: the day's budget.
        shortened: it was shortened before, or is the result of that.
    """
    version = live["version"]
    if len(split_sentences(live["text"], 2)) < 2:
        return NoHealing("healthy", because("single_sentence", agent=agent, version=version))
    if shortened:
        reason = because("already_shortened", agent=agent, version=version)
        return NoHealing("cooling_down", reason)
    if spent := budget_exhausted(situation, limits):
        return NoHealing("cooling_down", spent)
    return None


def cooling_down(situation: Situation, limits: Limits) -> Reason | None:
    """Return why it is too early to try again for this incumbent; None if it is not.

    After a rejection: an hour, doubling to a day, and as many new failures as the threshold.
    """
    if spent := budget_exhausted(situation, limits):
        return spent
    if not situation.tried:
        return None
    last = situation.tried[0]
    rejections = sum(not healing.errored for healing in situation.tried)
    wait = (
        WAIT_AFTER_ERROR
        if last.errored
        else LONGEST_WAIT  # its candidate is tried as soon as there are cases: see collecting.py
        if last.kept
        else min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(rejections - 1, 5))
    )
    if situation.now < last.closed_at + wait:
        return because("cooling_down", until=(last.closed_at + wait).isoformat())
    new = sum(ended > last.closed_at for ended in situation.failures)
    if new < limits.failure_threshold:
        return because("few_new_failures", failures=new)
    return None


def last_good(record: Mapping[int, Record], incumbent: int) -> int | None:
    """Return the newest other version that did well; None if there is none."""
    return max((v for v, seen in record.items() if v != incumbent and _is_good(seen)), default=None)


def budget_exhausted(situation: Situation, limits: Limits) -> Reason | None:
    """Return the reason if the day's model calls are used up; else None."""
    if situation.calls_today < limits.heal_daily_calls:
        return None
    return because("daily_budget_exhausted", calls=limits.heal_daily_calls)


def _as_usual(situation: Situation) -> Reason | None:
    """Return a reason if the failures are no more than the last good version has; else None."""
    rates = [rate for each in situation.records.values() if (rate := _failure_rate(each))]
    if not rates:
        return None
    failures = len(situation.failures)
    chance = surprise(failures, situation.runs, min(rates))
    if chance <= DETECT_AT:
        return None
    return because("failures_as_usual", failures=failures, runs=situation.runs, p=chance)


def _failure_rate(record: Mapping[int, Record]) -> float | None:
    """Return the failure rate of the newest version that was good, smoothed for small counts."""
    for version in sorted(record, reverse=True):
        seen = record[version]
        if _is_good(seen):
            return (seen.runs - seen.passed + 1) / (seen.runs + 2)
    return None


def _is_good(record: Record) -> bool:
    return record.runs >= ENOUGH_RUNS and record.passed / record.runs >= GOOD_RATE
