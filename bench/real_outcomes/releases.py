"""What becomes of releases on recorded outcomes: the product's watch and canary, run by run."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Final, NamedTuple

from bench.real_outcomes.records import Arm, Trial, Unit
from selfheal.db.types import Action, Release, VersionStats
from selfheal.optimizer.policy.canary import (
    CANARY_FOR,
    WATCH_RUNS,
    ReleaseStatus,
    decide,
)
from selfheal.optimizer.policy.canary import Action as Decided

RECORDS: Final = (10, 24, 60, 200)
_NOW: Final = datetime.now(UTC)
Draw = Callable[[], Trial]


class Ended(NamedTuple):
    """What became of a release, and after how many runs of the new version."""

    action: Decided
    runs: int


def trials_of(arm: Arm, tasks: Sequence[str], draws: random.Random) -> Draw:
    """Return a function that draws a trial of one of an arm's tasks."""
    return lambda: draws.choice(arm.tasks[draws.choice(tasks)])


@dataclass(slots=True)
class Side:
    """The runs of one version so far, as the product's query adds them up."""

    unit: Unit | None = None
    runs: int = 0
    passed: int = 0
    priced: int = 0
    log_cost: float = 0.0

    def add(self, trial: Trial) -> None:
        """Add a run."""
        self.runs += 1
        self.passed += trial.passed
        if trial.passed and self.unit and (cost := trial.cost(self.unit)):
            self.priced += 1
            self.log_cost += math.log(cost)

    @property
    def stats(self) -> VersionStats:
        """What the product decides on: scores of 0 and 1, and the cost as tokens."""
        rate = self.passed / self.runs if self.runs else 0.0
        cost = math.exp(self.log_cost / self.priced) if self.priced else None
        return VersionStats(self.runs, rate, rate * (1 - rate), 0, None, self.priced, cost)


def watch(old: Draw, new: Draw, record: int) -> Ended:
    """Watch a version that all threads have, for 200 runs, against so many runs before it."""
    before, side = Side(), Side()
    for _ in range(record):
        before.add(old())
    while side.runs < WATCH_RUNS:
        side.add(new())
        decided = _watched(side.runs, side.passed, before.runs, before.passed)
        if decided != "wait":
            return Ended(decided, side.runs)
    return Ended("wait", side.runs)


@lru_cache(maxsize=1_000_000)  # trials of the same rates meet the same counts again and again
def _watched(runs: int, passed: int, record: int, record_passed: int) -> Decided:
    new, old = Side(runs=runs, passed=passed), Side(runs=record, passed=record_passed)
    return decide(_status(100, new, old)).action


def canary(old: Draw, new: Draw, draws: random.Random, unit: Unit | None = None) -> Ended:
    """Run a canary at half of the runs until it is decided, or for 400 runs and a day."""
    before, side = Side(unit), Side(unit)
    for _ in range(2 * WATCH_RUNS):
        if draws.random() < 0.5:
            side.add(new())
        else:
            before.add(old())
        decided = decide(_status(50, side, before)).action
        if decided != "wait":
            return Ended(decided, side.runs)
    return Ended(decide(_status(50, side, before, CANARY_FOR)).action, side.runs)


def _status(
    percent: int, new: Side, old: Side, age: timedelta = timedelta(hours=1)
) -> ReleaseStatus:
    return ReleaseStatus(_release(percent), new.stats, old.stats, age)


@cache
def _release(percent: int) -> Release:
    action: Action = "canary" if percent < 100 else "activate"
    base = 1 if percent < 100 else None
    return Release(2, "worker", 1, action, 2, "bench", "", _NOW, None, base, percent, pinned=False)
