"""The arithmetic of every decision: pure functions, no I/O. docs/healing.md derives them."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

from selfheal.optimizer.distributions import (
    beta_quantile,
    binomial_at_least,
    binomial_at_most,
    student_quantile,
)

THETAS: Final = (0.7, 0.8, 0.9)
ACCEPT_AT: Final = 100.0
WORTH_A_LOOK: Final = 20.0
FIRST_CASES: Final = 60  # held-out cases within which ACCEPT_AT suffices
MOST_CASES: Final = 200  # held-out cases, by default and at most
EXTENDED_ACCEPT_AT: Final = 300.0  # beyond them
EXTEND_AT: Final = 0.5  # the least e-value, with more gains than losses, that justifies more cases
MARGIN: Final = 0.10
NOT_INFERIOR_AT: Final = 20.0
STAKES: Final = (0.1, 0.3, 0.5, 0.7, 0.85)
_CHANCE_LOSSES: Final = 0.05  # of the cases that a sound prompt fails by chance
_POWER: Final = 0.84  # without early stopping, which leaves about 0.8 of it
SEQUENCE_ALPHA: Final = 0.05
_TUNED_FOR: Final = 50
_RHO2: Final = (
    -2 * math.log(SEQUENCE_ALPHA) + math.log(1 - 2 * math.log(SEQUENCE_ALPHA))
) / _TUNED_FOR
_PRIOR_RUNS: Final = 0.5
FAULT_RATES: Final = (0.4, 0.6, 0.8, 0.95)
_LARGEST: Final = 30.0  # of a logarithm: its exponential is beyond any bound, and finite


class Sample(Protocol):
    """Scores of so many runs, by their mean and variance."""

    @property
    def runs(self) -> int:
        """How many there are."""
        ...

    @property
    def mean(self) -> float:
        """Their mean, 0 to 1."""
        ...

    @property
    def variance(self) -> float:
        """Their variance."""
        ...


def e_value(gains: int, losses: int) -> float:
    """Return the evidence that a candidate wins more discordant pairs than it loses.

    The mean over θ of ∏ (2θ)^gain (2(1-θ))^loss: under "no better" its expectation is at most 1
    at any stopping time, so it may be looked at after every case. A candidate that is no better
    reaches 100 at most once in a hundred (Ville's inequality; Ramdas, Grünwald, Vovk and Shafer,
    "Game-Theoretic Statistics and Safe Anytime-Valid Inference", Statistical Science 38, 2023).

    Args:
        gains: cases that the incumbent failed and the candidate passed.
        losses: cases that the incumbent passed and the candidate failed.
    """
    return sum((2 * t) ** gains * (2 * (1 - t)) ** losses for t in THETAS) / len(THETAS)


def hopeless(gains: int, losses: int, left: int, needed: float = ACCEPT_AT) -> bool:
    """Tell whether even a gain in every case that is left could not reach the evidence."""
    return e_value(gains + left, losses) < needed


def futile(gains: int, losses: int, asked: int, left: int, needed: float = ACCEPT_AT) -> bool:
    """Tell whether the evidence is out of reach even at the best plausible rate of gains.

    That rate is the upper end of the exact 95 % interval of gains among the cases tried, and no
    more losses are assumed. Stopping early never makes a false proof more likely.

    Args:
        gains: so far.
        losses: so far.
        asked: held-out cases tried, those without a difference included.
        left: held-out cases left.
        needed: the e-value that accepts.
    """
    rate = share_interval(gains, asked)[1]
    return e_value(gains + math.ceil(left * rate), losses) < needed


def promising(gains: int, losses: int) -> bool:
    """Tell whether a test that ended without a proof is worth more cases.

    A candidate that changes nothing has an e-value of 1, so that the e-value alone would pay for
    many cases without a difference: there must be more gains than losses too.
    """
    return gains > losses and e_value(gains, losses) >= EXTEND_AT


def non_inferiority_value(differences: Sequence[float], margin: float = MARGIN) -> float:
    """Return the evidence that scores are not lower by the margin or more.

    The mean over λ of ∏ (1 + λ(d + margin)): if the mean difference is -margin or less, its
    expectation is at most 1 at any stopping time, so that it reaches 20 in at most 5 %, however
    often it is looked at. A t bound that is looked at after every pair would pass such a harm in 16
    to 24 %.

    Args:
        differences: paired differences of scores, candidate less incumbent, -1 to 1.
        margin: the difference that counts as harm.
    """
    bets = (math.prod(1 + stake * (d + margin) for d in differences) for stake in STAKES)
    return math.fsum(bets) / len(STAKES)


@lru_cache(maxsize=1024)
def detectable_difference(cases: int) -> float | None:
    """Return the smallest difference of pass rates that a gate finds with 80 % probability.

    Computed before the gate starts, for its number of held-out cases. It assumes that 5 % of the
    cases are lost by chance, and that no case is lost for want of a verdict.

    Returns:
        The difference in steps of 0.01; None if even the largest one is found less often.
    """
    steps = range(1, round(100 * (1 - _CHANCE_LOSSES)) + 1)
    found = bisect_left(steps, _POWER, key=lambda step: _power(step / 100, cases))
    return None if found == len(steps) else steps[found] / 100


def _power(difference: float, cases: int) -> float:
    """Return how probably the evidence suffices at the end of a stage, at a true difference."""
    first = _reached(difference, min(cases, FIRST_CASES), ACCEPT_AT)
    extended = cases > FIRST_CASES
    return max(first, _reached(difference, cases, EXTENDED_ACCEPT_AT) if extended else 0.0)


def _reached(difference: float, cases: int, needed: float) -> float:
    rate = min((difference + _CHANCE_LOSSES) / (1 - _CHANCE_LOSSES), 1.0)  # where nothing is lost
    total, least = 0.0, 0
    for losses in range(cases + 1):
        while least <= cases and e_value(least, losses) < needed:
            least += 1
        if least > cases - losses:
            break
        lost = math.comb(cases, losses) * _CHANCE_LOSSES**losses
        lost *= (1 - _CHANCE_LOSSES) ** (cases - losses)
        total += lost * binomial_at_least(least, cases - losses, rate)
    return total


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean paired difference of scores with its one-sided lower bound."""

    n: int
    mean: float
    lower: float


def paired_difference(differences: Sequence[float], confidence: float = 0.95) -> Difference:
    """Return the mean difference, candidate minus incumbent, and its lower bound (Student's t).

    With fewer than two pairs nothing is known: the bound is minus infinity.

    Args:
        differences: of scores, in pairs.
        confidence: how sure the bound is, one-sided, 0 to 1.
    """
    n = len(differences)
    if n < 2:
        return Difference(n, differences[0] if differences else 0.0, -math.inf)
    mean = math.fsum(differences) / n
    variance = math.fsum((each - mean) ** 2 for each in differences) / (n - 1)
    margin = student_quantile(n - 1, confidence) * math.sqrt(variance / n)
    return Difference(n, mean, mean - margin)


@dataclass(frozen=True, slots=True)
class FailureEvidence:
    """How strongly a sequence of runs speaks for a higher failure rate than the usual one.

    Attributes:
        from_first: the e-value of the whole sequence. At the usual rate it ever reaches 100 in at
            most one sequence of a hundred.
        from_change: the e-value since the failures began, whenever that was. It starts anew with
            every run, so it reaches a bound sooner or later; see docs/healing.md for how often.
        runs: the newest runs from where the failures began.
    """

    from_first: float
    from_change: float
    runs: int


def failure_evidence(failed: Sequence[bool], usual: float) -> FailureEvidence:
    """Return the evidence that runs fail more often than usual: an e-detector.

    For each of four failure rates, the likelihood ratio against the usual rate is multiplied over
    the runs: over all of them, and over those since the product last fell to 1 (Shin, Ramdas and
    Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", New England
    Journal of Statistics in Data Science 2, 2024). The evidence is the mean of the four; a rate
    that is not above the usual one is no fault and contributes 0.

    Args:
        failed: whether each run failed, oldest first.
        usual: the usual failure rate, above 0 and below 1.
    """
    whole, since = [0.0] * len(FAULT_RATES), [0.0] * len(FAULT_RATES)
    starts = [0] * len(FAULT_RATES)
    steps = [_log_ratios(rate, usual) for rate in FAULT_RATES]
    for place, each in enumerate(failed):
        for at, (passing, failing) in enumerate(steps):
            step = failing if each else passing
            if since[at] <= 0:
                since[at], starts[at] = 0.0, place
            whole[at] += step
            since[at] += step
    best = max(range(len(FAULT_RATES)), key=lambda at: since[at])
    return FailureEvidence(_mean_e(whole), _mean_e(since), len(failed) - starts[best])


def _log_ratios(rate: float, usual: float) -> tuple[float, float]:
    """Return the log likelihood ratios of a passed and of a failed run."""
    if rate <= usual:
        return -math.inf, -math.inf
    return math.log((1 - rate) / (1 - usual)), math.log(rate / usual)


def _mean_e(logarithms: Sequence[float]) -> float:
    """Return the mean of the exponentials, to 4 digits, at most 10⁹: beyond it nothing changes."""
    exponentials = [math.exp(min(each, _LARGEST)) for each in logarithms]
    return round(min(sum(exponentials) / len(logarithms), 1e9), 4)


def fewer_than_usual(agreed: int, asked: int, usual: int, of: int) -> float:
    """Return the probability of so little agreement, if nothing has changed: a binomial tail.

    Args:
        agreed: how often now.
        asked: of how many now.
        usual: how often before.
        of: of how many before; the rate is smoothed, since a perfect record excludes nothing.

    Returns:
        A probability, 0 to 1.
    """
    return binomial_at_most(agreed, asked, (usual + 1) / (of + 2))


def more_losses(gains: int, losses: int) -> float:
    """Return the probability of at least so many losses, if each discordant pair is a fair coin."""
    return binomial_at_least(losses, gains + losses, 0.5)


@lru_cache(maxsize=4096)  # a gate asks for the same one after every case
def share_interval(successes: int, of: int) -> tuple[float, float]:
    """Return the exact (Clopper-Pearson) 95 % interval of a share; (0, 1) of nothing."""
    if not of:
        return 0.0, 1.0
    failures = of - successes
    low = beta_quantile(successes, failures + 1, 0.025) if successes else 0.0
    high = beta_quantile(successes + 1, failures, 0.975) if failures else 1.0
    return low, high


@dataclass(frozen=True, slots=True)
class Bounds:
    """A difference of mean scores, new minus old, with bounds that hold at every look."""

    mean: float
    lower: float
    upper: float


def difference(new: Sample, old: Sample, above: float = SEQUENCE_ALPHA) -> Bounds:
    """Return the difference of two means with a confidence sequence around it.

    The bounds hold at all looks together, so they may be looked at after every run: the one-sided
    asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas,
    "Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics
    52, 2024 (arXiv:2103.06476), tuned for 50 runs a version. Variances are smoothed by half a run
    of the largest possible variance: a few equal scores are no certainty.

    Args:
        new: scores under the new version.
        old: scores under the old one.
        above: how often the upper bound may be wrong, 0 to 1; the lower one is at 5 %.

    Returns:
        The difference, -1 to 1, with its bounds; infinite ones without any run.
    """
    n = min(new.runs, old.runs)
    mean = new.mean - old.mean
    if n == 0:
        return Bounds(mean, -math.inf, math.inf)
    v = n * (_variance(new) / new.runs + _variance(old) / old.runs)
    lower, upper = (_radius(n, v, alpha) for alpha in (SEQUENCE_ALPHA, above))
    return Bounds(mean, mean - lower, mean + upper)


def difference_from_record(new: Sample, record: Sample, alpha: float, z: float) -> Bounds:
    """Return the difference of a growing sample from a record that no longer grows, with bounds.

    The error of the growing mean is bounded at all looks together, by the confidence sequence of
    `difference`. That of the record is drawn once, so that a normal bound suffices. Both are
    independent: their squares are added. Each variance is at least that of both samples together,
    since a few equal scores hide theirs.

    Args:
        new: scores under the new version, looked at after every run.
        record: scores under the version before it.
        alpha: error probability of the bound of the new mean, one-sided, 0 to 1.
        z: standard normal quantile of the bound of the record's mean.

    Returns:
        The difference, -1 to 1, with its bounds; infinite ones without any run.
    """
    mean = new.mean - record.mean
    if not (new.runs and record.runs):
        return Bounds(mean, -math.inf, math.inf)
    both = _variance_of_both(new, record)
    v_new, v_record = (max(_variance(sample), both) for sample in (new, record))
    drawn = z * math.sqrt(v_record / record.runs)
    margin = math.hypot(_radius(new.runs, v_new, alpha), drawn)
    return Bounds(mean, mean - margin, mean + margin)


def _variance_of_both(one: Sample, other: Sample) -> float:
    """Return the variance of two samples put together, around their common mean."""
    runs = one.runs + other.runs
    within = (one.runs * one.variance + other.runs * other.variance) / runs
    share = one.runs / runs
    return within + share * (1 - share) * (one.mean - other.mean) ** 2


def _radius(n: int, v: float, alpha: float) -> float:
    spread = n * _RHO2 + 1
    return math.sqrt(2 * v * spread / (n * n * _RHO2) * math.log(math.sqrt(spread) / (2 * alpha)))


def _variance(sample: Sample) -> float:
    return (sample.runs * sample.variance + _PRIOR_RUNS * 0.25) / (sample.runs + _PRIOR_RUNS)


def excess(errors: int, of: int, usual: int, usual_of: int) -> float:
    """Return the probability of so many errors at the usual rate: an exact binomial upper tail."""
    return binomial_at_least(errors, of, (usual + 1) / (usual_of + 2))
