"""What becomes of a release: decided on figures, and rightly in simulated worlds."""

import statistics
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from selfheal.db.reasons import because
from selfheal.db.types import Action, Release, VersionStats
from selfheal.optimizer.policy.canary import (
    CANARY_FOR,
    WATCH_FOR,
    WATCH_RUNS,
    MonitorDecision,
    ReleaseStatus,
    decide,
    watch_ended,
)
from selfheal.optimizer.statistics import difference, excess

NOW = datetime(2026, 11, 22, tzinfo=UTC)
Scores = Callable[[int], np.ndarray]


def release(percent: int = 50, *, pinned: bool = False, action: Action = "canary") -> Release:
    base = 1 if percent < 100 else None
    return Release(7, "worker", 6, action, 2, "optimizer", "", NOW, None, base, percent, pinned)


def arm(scores: np.ndarray, errors: int = 0, p95: float | None = 1.0) -> VersionStats:
    mean, variance = (scores.mean(), scores.var()) if len(scores) else (0.0, 0.0)
    return VersionStats(len(scores), float(mean), float(variance), errors, p95)


def same(n: int, score: float = 0.9, **more: float) -> VersionStats:
    return VersionStats(n, score, 0.0, int(more.get("errors", 0)), more.get("p95", 1.0))


def step(
    new: VersionStats, old: VersionStats, hours: float = 1, **terms: object
) -> MonitorDecision:
    return decide(ReleaseStatus(release(**terms), new, old, timedelta(hours=hours)))  # type: ignore[arg-type]


def test_a_canary_as_good_is_promoted_after_twenty_runs_an_arm() -> None:
    assert step(same(19), same(50)).action == "wait"
    good = np.array([0.95] * 19 + [0.9])
    assert step(arm(np.tile(good, 3)), arm(np.tile(good, 3))).action == "promote"


def test_a_few_equal_scores_are_no_certainty() -> None:
    assert step(same(5, 0.90), same(5, 0.91)).action == "wait"
    assert step(same(20, 0.90), same(20, 0.91)).action != "take_back"


def test_a_dead_canary_is_taken_back_within_ten_runs() -> None:
    assert step(same(8, 0.1), same(8, 0.9)).action == "take_back"


def test_nothing_is_decided_on_fewer_than_five_runs() -> None:
    assert step(same(4, 0.0), same(50, 1.0)).action == "wait"
    assert step(same(50, 0.0), same(4, 1.0)).action == "wait"


def test_errors_and_slowness_take_a_canary_back() -> None:
    broken = step(same(25, errors=20), same(40, errors=1))
    assert broken == ("take_back", because("more_errors", errors=20, runs=45, before=1))
    assert step(same(25, errors=2), same(40, errors=1)).action != "take_back"
    slow = step(same(25, p95=9.0), same(40, p95=2.0))
    assert slow == ("take_back", because("slower", seconds=9.0, before=2.0))


def test_an_outage_does_not_take_back_what_all_have() -> None:
    assert step(same(25, errors=50), same(100), percent=100, action="heal").action == "wait"


def test_after_a_day_it_is_promoted_if_never_worse_else_a_person_is_called() -> None:
    day = CANARY_FOR / timedelta(hours=1)
    noisy = np.array([0.0, 1.0] * 6)
    assert step(arm(noisy), arm(noisy), hours=day).action == "promote"
    assert step(arm(noisy - 0.01), arm(noisy), hours=day).action == "hold"
    assert step(same(3), same(9), hours=day).action == "hold"


def test_what_is_pinned_is_never_taken_back() -> None:
    pinned = step(same(30, 0.1), same(50), percent=100, pinned=True, action="activate")
    assert (pinned.action, pinned.reason["code"]) == ("hold", "pinned_but_worse")


def test_watching_ends() -> None:
    live = release(100, action="heal")
    assert watch_ended(live, WATCH_RUNS, timedelta())
    assert watch_ended(live, 0, WATCH_FOR)
    assert not watch_ended(live, WATCH_RUNS - 1, timedelta(hours=1))
    assert not watch_ended(release(50), 10**6, WATCH_FOR)


def test_without_runs_the_bounds_say_nothing() -> None:
    bounds = difference(same(0), same(9))
    assert bounds.lower == -bounds.upper == -np.inf
    assert excess(0, 10, 0, 10) == 1


def world(rng: np.random.Generator, pass_rate: float) -> Scores:
    """Scores of a version that passes so often: 0.93 or so where it does, 0.4 where not."""

    def draw(n: int) -> np.ndarray:
        passed = rng.random(n) < pass_rate
        return np.where(passed, rng.normal(0.93, 0.05, n), rng.normal(0.4, 0.15, n)).clip(0, 1)

    return draw


def taken_back_after(new: np.ndarray, old: np.ndarray, *, canary: bool) -> int | None:
    """Return after how many runs the new version is taken back, looked at after each; or None."""
    terms = release() if canary else release(100, action="activate")
    for n in range(1, len(new) + 1):
        before = old[:n] if canary else old
        action = decide(ReleaseStatus(terms, arm(new[:n]), arm(before), timedelta())).action
        if action == "take_back":
            return n
        if action == "promote":
            return None
    return None


@pytest.mark.parametrize("canary", [True, False])
def test_versions_without_a_difference_are_seldom_taken_back(canary: bool) -> None:
    rng = np.random.default_rng(1)
    draw = world(rng, 0.85)
    seen = [taken_back_after(draw(200), draw(200), canary=canary) for _ in range(200)]
    assert sum(each is not None for each in seen) / len(seen) <= 0.02


def test_a_harmful_version_at_100_percent_is_taken_back_in_time() -> None:
    rng = np.random.default_rng(2)
    good, bad = world(rng, 0.85), world(rng, 0.60)
    seen = [taken_back_after(bad(200), good(200), canary=False) for _ in range(200)]
    found = [each for each in seen if each is not None]
    assert len(found) >= 0.97 * len(seen)
    assert statistics.median(found) <= 40


def test_a_much_better_canary_is_promoted_at_once() -> None:
    rng = np.random.default_rng(3)
    good, bad = world(rng, 0.8)(400), world(rng, 0.4)(400)
    for n in range(1, 60):
        if (
            decide(ReleaseStatus(release(), arm(good[:n]), arm(bad[:n]), timedelta())).action
            == "promote"
        ):
            break
    assert n <= 30
