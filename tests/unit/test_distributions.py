"""Our tails and quantiles: against exact sums, closed forms, published tables and SciPy.

The narrow bounds are those against sums in 60 digits, since SciPy itself loses digits where counts
are large: `bdtr` is off by 2e-9 at a million, `pdtrc` by 5e-6.
"""

import math
from collections.abc import Callable
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy import special

from selfheal.optimizer.distributions import (
    beta_binomial_at_most,
    beta_quantile,
    binomial_at_least,
    binomial_at_most,
    student_quantile,
)

_EXACT = 2e-12
_SMALLEST = 1e-300

shares = st.one_of(st.floats(1e-9, 1 - 1e-9), st.floats(-9, -1e-3).map(lambda e: 10**e))
tails = st.one_of(
    st.sampled_from([0.025, 0.05, 0.5, 0.95, 0.975]),
    st.floats(-12, -0.001).map(lambda e: 10**e),
    st.floats(-12, -0.31).map(lambda e: 1 - 10**e),
)
counts = st.floats(0, 6).map(lambda e: int(10**e))
deviations = st.floats(-30, 30)  # in standard deviations, from where counts are likely


def _near(mean: float, variance: float, deviation: float) -> int:
    return max(0, round(mean + deviation * math.sqrt(variance)))


def _relative_error(found: float, exact: Decimal) -> float:
    return abs(float((Decimal(found) - exact) / exact))


def _binomial_below(seen: int, of: int, rate: float) -> Decimal:
    """Return P(X < seen), summed in the context's digits."""
    p, total = Decimal(rate), Decimal(0)
    term = (1 - p) ** of
    for k in range(seen):
        total += term
        term *= (of - k) * p / ((k + 1) * (1 - p))
    return total


@settings(deadline=None)
@given(st.integers(0, 400), st.integers(0, 1500), st.floats(0, 1), st.floats(0, 1))
def test_the_beta_binomial_tail_is_a_mean_of_binomial_ones(
    of: int, seen_of: int, share: float, deviation: float
) -> None:
    seen, successes = round(share * seen_of), round(deviation * of)
    found = beta_binomial_at_most(successes, of, seen, seen_of)
    rate = special.betaincinv(seen + 1, seen_of - seen + 1, (np.arange(4000) + 0.5) / 4000)
    assert found == pytest.approx(special.bdtr(successes, of, rate).mean(), rel=0.02, abs=1e-4)


def test_the_beta_binomial_tail_ends_at_certainty() -> None:
    assert beta_binomial_at_most(-1, 10, 5, 10) == 0
    assert beta_binomial_at_most(10, 10, 5, 10) == 1
    assert beta_binomial_at_most(0, 1, 0, 0) == 0.5  # a uniform prior alone
    assert beta_binomial_at_most(0, 2, 2, 2) == pytest.approx(1 / 10)  # 3 ∫ r² (1 - r)² dr


@settings(deadline=None)
@given(counts, shares, deviations)
@example(995_015, 5.243475338239847e-05, -5.6)  # SciPy's error is 2e-9 here
@example(271_839, 2.040069021036466e-05, -1.0)  # one continued fraction left 2e-11 here
def test_both_binomial_tails_are_the_exact_sums(of: int, rate: float, deviation: float) -> None:
    seen = min(of, _near(of * rate, of * rate * (1 - rate), deviation))
    assume(0 < seen <= 2000)
    with localcontext(prec=60):
        below = _binomial_below(seen, of, rate)
        if below > _SMALLEST:
            assert _relative_error(binomial_at_most(seen - 1, of, rate), below) < _EXACT
        if (above := 1 - below) > 1e-40:  # what 60 digits leave of a difference
            assert _relative_error(binomial_at_least(seen, of, rate), above) < _EXACT


@settings(deadline=None)
@given(counts, shares, deviations)
def test_both_binomial_tails_agree_with_scipy(of: int, rate: float, deviation: float) -> None:
    seen = min(of, _near(of * rate, of * rate * (1 - rate), deviation))
    for ours, theirs in (
        (binomial_at_most(seen, of, rate), special.bdtr(seen, of, rate)),
        (binomial_at_least(seen, of, rate), special.bdtrc(seen - 1, of, rate) if seen else 1.0),
    ):
        assert ours == pytest.approx(theirs, rel=1e-8, abs=_SMALLEST)


@pytest.mark.parametrize(
    ("tail", "seen", "expected"),
    [
        (binomial_at_most, -1, 0.0),
        (binomial_at_most, 10, 1.0),
        (binomial_at_least, 0, 1.0),
        (binomial_at_least, 11, 0.0),
    ],
)
def test_beyond_all_counts_a_binomial_tail_is_sure(
    tail: Callable[[int, int, float], float], seen: int, expected: float
) -> None:
    assert tail(seen, 10, 0.3) == expected


@pytest.mark.parametrize(("rate", "at_least"), [(0.0, 0.0), (1.0, 1.0)])
def test_a_rate_without_chance_leaves_none(rate: float, at_least: float) -> None:
    assert binomial_at_least(3, 10, rate) == at_least
    assert binomial_at_most(2, 10, rate) == 1 - at_least


@settings(deadline=None)
@given(counts, st.floats(0, 1), tails)
@example(1_000_000, 0.0, 1e-12)
@example(1_000_000, 1.0, 1 - 1e-12)
def test_beta_quantiles_agree_with_scipy(of: int, share: float, below: float) -> None:
    """At the parameters of an interval of a share, in both of its tails."""
    successes = round(share * (of - 1)) + 1
    found = beta_quantile(successes, of - successes + 1, below)
    theirs = special.betaincinv(successes, of - successes + 1, below)
    assert found == pytest.approx(theirs, rel=5e-12)


@settings(deadline=None)
@given(st.floats(-12, -0.31).map(lambda e: 10**e))
def test_student_quantiles_are_the_closed_forms_of_one_and_two(tail: float) -> None:
    assert student_quantile(1, tail) == pytest.approx(-1 / math.tan(math.pi * tail), rel=_EXACT)
    two = (2 * tail - 1) / math.sqrt(2 * tail * (1 - tail))
    assert student_quantile(2, tail) == pytest.approx(two, rel=_EXACT)


@settings(deadline=None)
@given(counts, tails)
def test_student_quantiles_agree_with_scipy(freedom: int, below: float) -> None:
    theirs = special.stdtrit(freedom, below)
    assert student_quantile(freedom, below) == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize(
    ("freedom", "below", "expected"),
    [(1, 0.95, 6.314), (10, 0.975, 2.228), (30, 0.95, 1.697), (60, 0.995, 2.660), (7, 0.5, 0.0)],
)
def test_student_quantiles_are_those_of_the_table(
    freedom: int, below: float, expected: float
) -> None:
    """NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2."""
    assert student_quantile(freedom, below) == pytest.approx(expected, abs=5e-4)
    assert student_quantile(freedom, 1 - below) == pytest.approx(-expected, abs=5e-4)
