"""What becomes of a release: decided on figures, and rightly in simulated worlds."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from selfheal.db.reasons import because
from selfheal.db.types import Action, Release, VersionStats
from selfheal.optimizer import statistics as statistics_module
from selfheal.optimizer.policy.canary import (
    CANARY_FOR,
    LEAST_OLD_RUNS,
    LEAST_RUNS,
    LEAST_TIMED,
    WATCH_ALPHA,
    WATCH_FOR,
    WATCH_RUNS,
    WATCH_Z,
    MonitorDecision,
    ReleaseStatus,
    decide,
    watch_ended,
)
from selfheal.optimizer.statistics import difference, difference_from_record, excess

NOW = datetime(2026, 11, 22, tzinfo=UTC)
Scores = Callable[[int], np.ndarray]
Kind = Callable[[np.random.Generator, float], Scores]


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


def test_runs_without_a_verdict_take_a_canary_back() -> None:
    broken = step(same(25, errors=20), same(40, errors=1))
    assert broken == ("take_back", because("more_errors", errors=20, runs=45, before=1))
    assert step(same(25, errors=2), same(40, errors=1)).action != "take_back"


def test_an_outage_does_not_take_back_what_all_have() -> None:
    assert step(same(25, errors=50), same(100), percent=100, action="heal").action == "wait"


def test_after_a_day_it_is_promoted_if_never_worse_else_a_person_is_called() -> None:
    day = CANARY_FOR / timedelta(hours=1)
    noisy = np.array([0.0, 1.0] * 6)
    assert step(arm(noisy), arm(noisy), hours=day).action == "promote"
    assert step(arm(noisy - 0.01), arm(noisy), hours=day).action == "hold"
    assert step(same(3), same(9), hours=day).action == "hold"


def priced(n: int, tokens: float | None, priced: int | None = None) -> VersionStats:
    """Return results of a version that is good enough to be promoted."""
    return VersionStats(n, 0.9, 0.0, 0, 1.0, n if priced is None else priced, tokens)


def test_a_canary_that_takes_many_more_tokens_is_held() -> None:
    more = because("canary_more_tokens", tokens=1600.0, before=1000.0, at_most=1.5)
    assert step(priced(100, 1600.0), priced(100, 1000.0)) == ("hold", more)
    assert step(priced(100, 1500.0), priced(100, 1000.0)).action == "promote"
    assert step(priced(100, 1600.0, priced=7), priced(100, 1000.0)).action == "promote"
    assert step(priced(100, 1600.0), priced(100, None, priced=0)).action == "promote"
    assert step(priced(5, 1600.0), priced(100, 1000.0)).action == "wait"
    worse = VersionStats(100, 0.4, 0.01, 0, 1.0, 100, 1600.0)
    assert step(worse, priced(100, 1000.0)).action == "take_back"


def test_a_slow_canary_is_held_once_there_are_enough_runs_to_tell() -> None:
    slow, fast = {"p95": 9.0}, {"p95": 2.0}
    n = LEAST_TIMED
    held = because("canary_slower", seconds=9.0, before=2.0, at_most=1.5)
    assert step(same(n, **slow), same(n, **fast)) == ("hold", held)
    assert step(same(n - 1, errors=1, **slow), same(n, **fast)).action == "hold"
    assert step(same(n - 1, **slow), same(n, **fast)).action == "wait"
    assert step(same(n - 1, **slow), same(n, **fast), hours=24).action == "promote"
    assert step(same(n, p95=3.0), same(n, **fast)).action == "promote"


def test_a_held_canary_stays_held_until_it_is_decided_or_worse() -> None:
    held = because("canary_slower", seconds=9.0, before=2.0, at_most=1.5)

    def again(new: VersionStats) -> MonitorDecision:
        return decide(ReleaseStatus(release(), new, same(100), timedelta(hours=1), held=held))

    assert again(same(100)) == ("hold", held)
    assert again(same(100, 0.1)).action == "take_back"


@pytest.mark.parametrize(("ratio", "least", "most"), [(1.0, 0.0, 0.03), (2.0, 0.95, 1.0)])
def test_the_token_guard_holds_what_doubles_the_tokens(
    ratio: float, least: float, most: float
) -> None:
    rng, held, trials = np.random.default_rng(4), 0, 400
    for _ in range(trials):
        # Log-normal tokens of 30 passing runs a version; 30 is fewer than a promotion needs.
        new, old = 1000 * np.exp(0.5 * rng.standard_normal((2, 30)).mean(axis=1))
        held += step(priced(100, ratio * new, 30), priced(100, old, 30)).action == "hold"
    assert least <= held / trials <= most


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


def test_canaries_without_a_difference_are_seldom_taken_back() -> None:
    rng = np.random.default_rng(1)
    draw = world(rng, 0.85)
    seen = [taken_back_after(draw(200), draw(200), canary=True) for _ in range(200)]
    assert sum(each is not None for each in seen) / len(seen) <= 0.02


def passes(rng: np.random.Generator, pass_rate: float) -> Scores:
    """Scores that are 0 or 1."""
    return lambda n: (rng.random(n) < pass_rate).astype(float)


def upper_bounds(new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """Return the bound of the watch after each run, for a trial a row: as `decide` computes it."""
    t, n = np.arange(1, new.shape[1] + 1), old.shape[1]
    total, squares = new.cumsum(axis=1), (new**2).cumsum(axis=1)
    mean, before = total / t, old.mean(axis=1, keepdims=True)
    both_mean = (total + before * n) / (t + n)
    both = (squares + (old**2).sum(axis=1, keepdims=True)) / (t + n) - both_mean**2
    own = (squares - t * mean**2 + 0.125) / (t + 0.5)
    own_before = (n * old.var(axis=1, keepdims=True) + 0.125) / (n + 0.5)
    spread = t * statistics_module._RHO2 + 1
    logs = (
        2 * spread / (t * t * statistics_module._RHO2) * np.log(np.sqrt(spread) / (2 * WATCH_ALPHA))
    )
    drawn = WATCH_Z**2 * np.maximum(own_before, both) / n
    bounds: np.ndarray = mean - before + np.sqrt(np.maximum(own, both) * logs + drawn)
    return bounds


def watched(draw: Scores, draw_old: Scores, record: int, trials: int) -> np.ndarray:
    """Return after how many runs of 200 each new version is rolled back; 0 if it is not."""
    new = draw(trials * WATCH_RUNS).reshape(trials, WATCH_RUNS)
    bounds = upper_bounds(new, draw_old(trials * record).reshape(trials, record))
    below = (bounds < 0) & (np.arange(1, WATCH_RUNS + 1) >= LEAST_RUNS)
    return np.where(below.any(axis=1), below.argmax(axis=1) + 1, 0)


@pytest.mark.parametrize("kind", [passes, world])
def test_the_simulated_watch_is_that_of_the_product(kind: Kind) -> None:
    """What follows simulates many trials at once, with the same figures as `decide`."""
    rng = np.random.default_rng(6)
    for rate in (0.1, 0.5, 0.9):
        new, old = kind(rng, rate)(40), kind(rng, rate)(LEAST_OLD_RUNS)
        bounds = upper_bounds(new[None], old[None])[0]
        for n in range(1, len(new) + 1):
            product = difference_from_record(arm(new[:n]), arm(old), WATCH_ALPHA, WATCH_Z)
            assert bounds[n - 1] == pytest.approx(product.upper)
    low = taken_back_after(np.zeros(40), np.tile([0.9, 1.0], 30), canary=False)
    assert low == watched(np.zeros, lambda n: np.tile([0.9, 1.0], n // 2), 60, 1)[0]


@pytest.mark.parametrize("record", [10, 24, 60, 200])
@pytest.mark.parametrize("kind", [passes, world])
def test_watched_versions_without_a_difference_are_seldom_rolled_back(
    kind: Kind, record: int
) -> None:
    rng, trials = np.random.default_rng(8), 3000
    for rate in (0.05, 0.2, 0.4, 0.5, 0.6, 0.8, 0.95):
        seen = watched(kind(rng, rate), kind(rng, rate), record, trials)
        assert (seen > 0).mean() <= 0.02, rate


@pytest.mark.parametrize(
    ("before", "after", "power"), [(0.85, 0.60, 0.99), (0.30, 0.10, 0.98), (0.50, 0.35, 0.65)]
)
def test_a_watched_version_that_is_worse_is_rolled_back(
    before: float, after: float, power: float
) -> None:
    rng = np.random.default_rng(9)
    seen = watched(passes(rng, after), passes(rng, before), 200, 4000)
    assert (seen > 0).mean() >= power


@pytest.mark.parametrize("kind", [passes, world])
def test_a_harmful_version_at_100_percent_is_rolled_back_in_time(kind: Kind) -> None:
    rng = np.random.default_rng(2)
    seen = watched(kind(rng, 0.60), kind(rng, 0.85), 200, 2000)
    assert (seen > 0).mean() >= 0.97
    assert np.median(seen[seen > 0]) <= 40


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
