"""How often detection opens a healing for nothing, and how soon it opens a needed one: simulated.

The product decides, run by run. It is asked only where an approximation with arrays, of thousands
of sequences at once, has at least a tenth of the evidence that is needed.
"""

import math
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from selfheal.optimizer.policy.detection import (
    ENOUGH_RUNS,
    GOOD_RATE,
    OPEN_AT,
    OPEN_AT_CHANGE,
    PRIOR_RUNS,
    SURGE_AT,
    TOLERANCE,
    YOUNG_RATE,
    assess,
    assess_surge,
)
from selfheal.optimizer.records.detection import PassRecord
from selfheal.optimizer.statistics import FAULT_RATES

THRESHOLD: Final = 3
NEVER: Final = 10**6
THETA: Final = np.array(FAULT_RATES)

Runs: TypeAlias = NDArray[np.bool_]
"""Whether each run failed: a row for each sequence, oldest first."""
Places: TypeAlias = NDArray[np.int64]


@dataclass
class Pace:
    """How fast runs come.

    Attributes:
        recent: the newest runs that are within the failure window. Older ones of the live version
            are its record.
    """

    recent: int


FAST: Final = Pace(NEVER)
SLOW: Final = Pace(1)


def simulated(seed: int, count: int, *parts: tuple[int, float]) -> Runs:
    """Return sequences, made of parts of so many runs with such a failure rate."""
    draw = np.random.default_rng(seed)
    return np.concatenate([draw.random((count, runs)) < rate for runs, rate in parts], axis=1)


def opened(failed: Runs, pace: Pace, good: PassRecord | None = None, *, start: int = 0) -> Places:
    """Return after how many runs from `start` each sequence opens a healing; NEVER if not."""
    count, length = failed.shape
    whole, since = (np.zeros((count, len(THETA))) for _ in range(2))
    total = np.zeros(count)
    found = np.full(count, NEVER)
    for place in range(length):
        now = failed[:, place, None]
        usual = _usual(failed, place, pace, good)[:, None]
        step = np.where(now, np.log(THETA / usual), np.log((1 - THETA) / (1 - usual)))
        whole, since = whole + step, np.maximum(since, 0) + step
        total += now[:, 0]
        near = (_mean_e(whole) >= OPEN_AT / 10) | (_mean_e(since) >= OPEN_AT_CHANGE / 10)
        near |= total == place + 1
        near &= (found == NEVER) & now[:, 0] & (total >= THRESHOLD) & (place >= start)
        for row in np.flatnonzero(near):
            if rule(failed[row, : place + 1], pace, good) != "none":
                found[row] = place + 1 - start
    return found


def _mean_e(logarithms: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(np.minimum(logarithms, 30)).mean(1))


def _usual(failed: Runs, place: int, pace: Pace, good: PassRecord | None) -> NDArray[np.float64]:
    """Return the usual failure rates by a good version's record, or by each sequence's own."""
    if good:
        lost, runs = np.full(len(failed), good["runs"] - good["passed"]), good["runs"]
    else:
        runs = max(0, place + 1 - pace.recent)
        lost = failed[:, :runs].sum(1)
    rate = TOLERANCE * (lost + YOUNG_RATE * PRIOR_RUNS) / (runs + PRIOR_RUNS)
    known = (runs >= ENOUGH_RUNS) & (lost <= (1 - GOOD_RATE) * runs + 1e-9)
    return np.where(known, np.minimum(rate, YOUNG_RATE), YOUNG_RATE)


def rule(failed: NDArray[np.bool_], pace: Pace, good: PassRecord | None = None) -> str:
    """Return what the product itself decides on a sequence."""
    old = failed[: max(0, len(failed) - pace.recent)]
    if not good and len(old) >= ENOUGH_RUNS and (~old).mean() >= GOOD_RATE:
        good = PassRecord(agent="worker", version=1, runs=len(old), passed=int((~old).sum()))
    outcomes = "".join("0" if each else "1" for each in failed)
    recent = int(failed[-pace.recent :].sum())
    return assess(outcomes, recent=recent, threshold=THRESHOLD, usual=good)["rule"]


@pytest.mark.parametrize("pace", [FAST, SLOW, Pace(40)])
def test_the_approximation_hides_nothing(pace: Pace) -> None:
    for seed, rate in enumerate((0.15, 0.3, 0.7)):
        failed = simulated(seed, 25, (40, 0.1), (30, rate))
        for sequence, after in zip(failed, opened(failed, pace), strict=True):
            before = range(1, min(int(after), len(sequence) + 1))
            assert {rule(sequence[:runs], pace) for runs in before} <= {"none"}


@pytest.mark.parametrize("pace", [FAST, SLOW, Pace(40)])
def test_a_sound_young_service_is_left_alone(pace: Pace) -> None:
    """At .85 over its first 500 runs, at any pace: in at most 2 %."""
    found = opened(simulated(1, 2000, (500, 0.15)), pace)
    print(f"opened: {(found < NEVER).mean():.2%}")
    assert (found < NEVER).mean() <= 0.02


def test_a_good_service_is_left_alone_for_months() -> None:
    """At .9: a false opening every 50,000 runs or less often."""
    failed = simulated(2, 500, (2000, 0.1))
    good = PassRecord(agent="worker", version=1, runs=2000, passed=1800)
    found = opened(failed, FAST, good, start=20)
    rate = -math.log(1 - (found < NEVER).mean()) / 2000
    print(f"false openings in 10,000 runs: {rate * 10_000:.2f}")
    assert rate * 10_000 <= 0.2


@pytest.mark.parametrize(("pace", "most"), [(FAST, 3), (SLOW, 4)])
def test_a_version_that_is_dead_is_found_within_four_runs(pace: Pace, most: int) -> None:
    """Ten runs a day are slow: of two runs only one is within half an hour."""
    assert opened(simulated(3, 1, (10, 1.0)), pace).tolist() == [most]
    good = PassRecord(agent="worker", version=1, runs=500, passed=475)
    assert opened(simulated(3, 1, (10, 1.0)), pace, good)[0] <= most


@pytest.mark.parametrize(("failing", "most"), [(0.02, 4), (0.05, 4), (0.1, 5), (0.15, 6)])
def test_a_service_that_dies_later_is_found_within_six_runs(failing: float, most: int) -> None:
    """Four ordinary failures in a row come about once in 2,000 runs where 15 % fail."""
    good = PassRecord(agent="worker", version=1, runs=1000, passed=round(1000 * (1 - failing)))
    failed = simulated(4, 2000, (60, failing), (10, 1.0))
    found = opened(failed, SLOW, good, start=60)
    assert np.quantile(found, 0.99) <= most


@pytest.mark.parametrize("pace", [FAST, SLOW])
def test_a_version_of_which_seventy_percent_fail_is_found_within_eight_runs(pace: Pace) -> None:
    found = opened(simulated(5, 4000, (100, 0.7)), pace)
    print(f"median: {np.median(found)}, nine in ten: {np.quantile(found, 0.9)}")
    assert np.median(found) <= 8
    assert np.quantile(found, 0.9) <= 18


def surged(failed: Runs, before: tuple[int, int], *, start: int = 0) -> Places:
    """Return after how many runs from `start` each sequence ends a cool-down; NEVER if not."""
    failures, runs = before
    usual = max(YOUNG_RATE, (failures + 1) / (runs + 2))
    theta = THETA[usual < THETA]
    since = np.zeros((len(failed), len(theta)))
    found = np.full(len(failed), NEVER)
    for place in range(failed.shape[1]):
        now = failed[:, place, None]
        step = np.where(now, np.log(theta / usual), np.log((1 - theta) / (1 - usual)))
        since = np.maximum(since, 0) + step
        hit = np.exp(np.minimum(since, 30)).sum(1) / len(THETA) >= SURGE_AT
        found = np.where((found == NEVER) & hit & (place >= start), place + 1 - start, found)
    for sequence, after in zip(failed[:30], found[:30], strict=True):
        until = min(int(after) + start, len(sequence))
        outcomes = "".join("0" if each else "1" for each in sequence[:until])
        decided = assess_surge(outcomes, threshold=THRESHOLD, usual=None, before=before)
        assert (decided["rule"] == "surge") == (after != NEVER)
    return found


@pytest.mark.parametrize("before", [(6, 30), (17, 100), (78, 500), (150, 1000)])
def test_after_a_rejection_a_new_fault_of_seventy_percent_is_taken_up(
    before: tuple[int, int],
) -> None:
    found = surged(simulated(6, 3000, (40, 0.15), (60, 0.7)), before, start=40)
    print(f"median: {np.median(found)}, within 20: {(found <= 20).mean():.1%}")
    assert np.median(found) <= 15
    assert (found <= 20).mean() >= 0.85


def test_after_a_rejection_what_failed_before_and_what_is_usual_wait() -> None:
    sound = surged(simulated(7, 3000, (500, 0.15)), (78, 500))
    assert (sound < NEVER).mean() <= 0.02
    for before in ((3, 3), (6, 7), (7, 10), (20, 28)):
        same = surged(simulated(8, 1000, (100, 0.7)), before)
        assert (same < NEVER).mean() <= 0.05
