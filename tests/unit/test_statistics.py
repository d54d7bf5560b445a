"""The arithmetic of decisions: against hand-computed values, scipy, and simulated worlds."""

import math
import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from selfheal.optimizer.statistics import (
    ACCEPT_AT,
    FAULT_RATES,
    FIRST_CASES,
    e_value,
    failure_evidence,
    fewer_than_usual,
    futile,
    hopeless,
    paired_difference,
    share_interval,
)


@pytest.mark.parametrize(
    ("gains", "losses", "expected"),
    [
        (0, 0, 1.0),
        (1, 0, (1.4 + 1.6 + 1.8) / 3),
        (0, 1, (0.6 + 0.4 + 0.2) / 3),
        (2, 1, (1.96 * 0.6 + 2.56 * 0.4 + 3.24 * 0.2) / 3),
        (10, 0, (1.4**10 + 1.6**10 + 1.8**10) / 3),
    ],
)
def test_the_e_value_is_the_mean_of_three_bets(gains: int, losses: int, expected: float) -> None:
    assert e_value(gains, losses) == pytest.approx(expected)


def test_ten_gains_without_a_loss_are_enough_and_nine_are_not() -> None:
    assert e_value(9, 0) < ACCEPT_AT < e_value(10, 0)
    assert e_value(10, 1) < ACCEPT_AT < e_value(13, 1)


@given(st.integers(0, 40), st.integers(0, 40))
def test_a_fair_coin_wins_nothing_on_average(gains: int, losses: int) -> None:
    """The bet is a martingale: that is what makes it valid at any stop."""
    after = (e_value(gains + 1, losses) + e_value(gains, losses + 1)) / 2
    assert after == pytest.approx(e_value(gains, losses))


def _evidence(generator: np.random.Generator, gain: float, loss: float, runs: int) -> Iterator[int]:
    """Yield for each simulated gate the case at which it accepted, 0 where it never did."""
    table = [[e_value(g, n) for n in range(FIRST_CASES + 1)] for g in range(FIRST_CASES + 1)]
    reached = np.array(table) >= ACCEPT_AT
    draws = generator.random((runs, FIRST_CASES))
    gains = np.cumsum(draws < gain, axis=1)
    losses = np.cumsum((draws >= gain) & (draws < gain + loss), axis=1)
    accepted = reached[gains, losses]
    yield from np.where(accepted.any(axis=1), accepted.argmax(axis=1) + 1, 0)


@pytest.mark.parametrize("discordant", [1.0, 0.5, 0.2])
def test_a_useless_candidate_is_accepted_at_most_once_in_a_hundred(discordant: float) -> None:
    """Looked at after every case; two standard errors of 20,000 runs are allowed for."""
    generator = np.random.default_rng(20261122)
    found = np.array(list(_evidence(generator, discordant / 2, discordant / 2, 20_000)))
    assert (found > 0).mean() <= 0.01 + 2 * math.sqrt(0.01 / 20_000)


def test_a_harmful_candidate_is_hardly_ever_accepted() -> None:
    found = np.array(list(_evidence(np.random.default_rng(1), 0.2, 0.4, 20_000)))
    assert (found > 0).mean() <= 0.0005


def test_from_nothing_to_nine_in_ten_takes_about_a_dozen_cases() -> None:
    found = np.array(list(_evidence(np.random.default_rng(2), 0.9, 0.0, 5_000)))
    assert 11 <= np.median(found) <= 13
    assert (found > 0).mean() > 0.999


def test_from_three_in_ten_to_seven_in_ten_is_mostly_found() -> None:
    found = np.array(list(_evidence(np.random.default_rng(3), 0.7 * 0.7, 0.3 * 0.3, 5_000)))
    assert (found > 0).mean() > 0.85


@pytest.mark.parametrize(
    ("gains", "losses", "left", "lost"),
    [
        (0, 0, 10, False),
        (0, 0, 9, True),
        (9, 0, 1, False),
        (10, 0, 0, False),
        (0, 0, 0, True),
        (0, 30, 30, True),
    ],
)
def test_what_cannot_be_reached_any_more_is_hopeless(
    gains: int, losses: int, left: int, lost: bool
) -> None:
    assert hopeless(gains, losses, left) is lost


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_hopeless_is_never_wrong(gains: int, losses: int, left: int) -> None:
    best = max(e_value(gains + g, losses + left - g) for g in range(left + 1))
    assert hopeless(gains, losses, left) is (best < ACCEPT_AT)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_what_is_hopeless_is_futile(gains: int, losses: int, others: int, left: int) -> None:
    asked = gains + losses + others
    assert futile(gains, losses, asked, left) or not hopeless(gains, losses, left)


@pytest.mark.parametrize(
    ("gains", "losses", "asked", "left", "vain"),
    [
        (0, 0, 0, 60, False),
        (0, 0, 12, 48, False),
        (0, 0, 20, 40, True),
        (2, 0, 20, 40, False),
        (3, 3, 40, 20, True),
        (11, 0, 20, 40, False),
    ],
)
def test_evidence_that_will_not_come_is_not_waited_for(
    gains: int, losses: int, asked: int, left: int, vain: bool
) -> None:
    assert futile(gains, losses, asked, left) is vain


def test_giving_up_early_costs_little_power() -> None:
    proven, given_up = _proven(futile_too=False), _proven(futile_too=True)
    assert given_up >= proven - 0.05
    assert proven > 0.75


def _proven(*, futile_too: bool) -> float:
    """Return how often a candidate that wins every fourth case is proven within 60."""
    draws = random.Random(3)
    found = 0
    for _ in range(3000):
        gains = losses = 0
        for asked in range(60):
            if futile_too and futile(gains, losses, asked, 60 - asked):
                break
            draw = draws.random()
            gains, losses = gains + (draw < 0.25), losses + (0.25 <= draw < 0.27)
        found += e_value(gains, losses) >= ACCEPT_AT
    return found / 3000


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=60, unique=True))
def test_the_paired_difference_agrees_with_scipy(differences: list[float]) -> None:
    found = paired_difference(differences)
    if np.std(differences) < 1e-9:  # beyond what scipy itself computes precisely
        return
    test = stats.ttest_1samp(differences, 0.0, alternative="greater")
    assert found.n == len(differences)
    assert found.mean == pytest.approx(np.mean(differences), abs=1e-9)
    assert found.lower == pytest.approx(test.confidence_interval(0.95).low, abs=1e-6)


def test_of_one_pair_nothing_is_known() -> None:
    assert paired_difference([]).lower == -math.inf
    assert paired_difference([0.9]).mean == 0.9
    assert paired_difference([0.9]).lower == -math.inf


def test_pairs_that_all_differ_alike_leave_no_doubt() -> None:
    assert paired_difference([0.5] * 10).lower == pytest.approx(0.5)


@pytest.mark.parametrize("usual", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("runs", ["0", "1", "0001", "1110000", "0010110100"])
def test_the_evidence_of_failures_is_a_mean_of_likelihood_ratios(runs: str, usual: float) -> None:
    """By products over every start, where the detector keeps running sums."""
    failed = [each == "0" for each in runs]

    def product(rate: float, part: list[bool]) -> float:
        if rate <= usual:
            return 0.0
        return math.prod(rate / usual if each else (1 - rate) / (1 - usual) for each in part)

    suffixes = [failed[start:] for start in range(len(failed))]
    found = failure_evidence(failed, usual)
    whole = [product(rate, failed) for rate in FAULT_RATES]
    since = [max(product(rate, part) for part in suffixes) for rate in FAULT_RATES]
    assert found.from_first == pytest.approx(sum(whole) / 4, abs=1e-4)
    assert found.from_change == pytest.approx(sum(since) / 4, abs=1e-4)


def test_the_window_begins_where_the_failures_do() -> None:
    assert failure_evidence([False] * 300 + [True] * 6, 0.2).runs == 6
    assert failure_evidence([True] * 6, 0.2).runs == 6
    assert failure_evidence([], 0.2).runs == 0


@pytest.mark.parametrize("usual", [0.001, 0.2, 0.96])
def test_the_evidence_stays_a_number_that_json_has(usual: float) -> None:
    for failed in (True, False):
        found = failure_evidence([failed] * 1000, usual)
        assert 0 <= found.from_first <= found.from_change <= 1e9


@pytest.mark.parametrize("successes", [0, 1, 5, 29, 30])
def test_the_interval_of_a_share_is_the_exact_one(successes: int) -> None:
    exact = stats.binomtest(successes, 30).proportion_ci(0.95, method="exact")
    assert share_interval(successes, 30) == pytest.approx((exact.low, exact.high))


def test_tails_are_those_of_the_distributions() -> None:
    assert fewer_than_usual(20, 30, 27, 30) == pytest.approx(stats.binom.cdf(20, 30, 28 / 32))
