"""Canaries and watches over recorded scores: the very decisions of the service, replayed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import fmean, pvariance
from typing import Final

from bench.experiment.jobs import scenarios
from bench.experiment.records import Records
from selfheal.db.types import Action, Release, VersionStats
from selfheal.optimizer.policy.canary import ReleaseStatus, decide

SOUND_RATE: Final = 0.85
HARMFUL_RATE: Final = 0.60
_HISTORY: Final = 100
_MOST: Final = 200
_NOW: Final = datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Watched:
    """What became of the replays: whether each was taken back, and after how many runs."""

    sound_rate: float
    harmful_rate: float
    identical: list[bool]
    harmful: list[int | None]


def watch(records: Records) -> Watched | None:
    """Replay; the scores are those of the records' own unseen runs, drawn at each pass rate."""
    good, bad = scores(records)
    if not good or not bad:
        return None
    plan = scenarios()["watch"]
    identical = [_canary(random.Random(seed), good, bad) for seed in range(plan["identical"])]
    harmful = [_watch(random.Random(seed), good, bad) for seed in range(plan["harmful"])]
    return Watched(SOUND_RATE, HARMFUL_RATE, identical, harmful)


def scores(records: Records) -> tuple[list[float], list[float]]:
    """Return the scores of runs that passed, and of those that did not."""
    scored = [each for row in records.of("sound") for each in row["after"]["scores"]]
    return [score for score, passed in scored if passed], [s for s, passed in scored if not passed]


def _drawn(draws: random.Random, rate: float, good: list[float], bad: list[float]) -> float:
    return draws.choice(good if draws.random() < rate else bad)


def _canary(draws: random.Random, good: list[float], bad: list[float]) -> bool:
    """Run both arms side by side without a difference; tell whether the new one was taken back."""
    new: list[float] = []
    old: list[float] = []
    while len(new) + len(old) < 2 * _MOST:
        arm = new if draws.random() < 0.5 else old
        arm.append(_drawn(draws, SOUND_RATE, good, bad))
        action = decide(_standing(50, new, old)).action
        if action != "wait":
            return action == "take_back"
    return False


def _watch(draws: random.Random, good: list[float], bad: list[float]) -> int | None:
    """Run a version activated by hand; return after how many runs it was taken back."""
    old = [_drawn(draws, SOUND_RATE, good, bad) for _ in range(_HISTORY)]
    new: list[float] = []
    while len(new) < _MOST:
        new.append(_drawn(draws, HARMFUL_RATE, good, bad))
        if decide(_standing(100, new, old)).action == "take_back":
            return len(new)
    return None


def _standing(percent: int, new: Sequence[float], old: Sequence[float]) -> ReleaseStatus:
    return ReleaseStatus(_release(percent), _arm(new), _arm(old), timedelta(hours=1))


def _arm(scores: Sequence[float]) -> VersionStats:
    mean = fmean(scores) if scores else 0.0
    return VersionStats(runs=len(scores), mean=mean, variance=pvariance(scores) if scores else 0.0,
               errors=0, p95_seconds=1.0)  # fmt: skip


def _release(percent: int) -> Release:
    action: Action = "canary" if percent < 100 else "activate"
    base = 1 if percent < 100 else None
    return Release(2, "worker", 1, action, 2, "bench", "", _NOW, None, base, percent, pinned=False)
