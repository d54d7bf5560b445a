"""What a gate finds and what it lets through, over simulated systems, by the product's own rules.

Seeds are fixed. Each bound leaves room for the chance of its own number of gates; docs/healing.md
has the figures of longer runs.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from selfheal.optimizer.policy import guards
from selfheal.optimizer.policy.noninferiority import gate_test
from selfheal.optimizer.policy.sequential_test import GateCases, GateTest
from selfheal.optimizer.policy.superiority import FEWEST_PAIRS, Pair, not_inferior
from selfheal.optimizer.records.candidates import UsualTokens
from selfheal.optimizer.statistics import (
    ACCEPT_AT,
    EXTENDED_ACCEPT_AT,
    FIRST_CASES,
    MOST_CASES,
    detectable_difference,
    e_value,
    futile,
    promising,
)


def found(gain: float, loss: float, gates: int, most: int = MOST_CASES, seed: int = 7) -> float:
    """Return the share of gates that prove superiority, by the rule of `SuperiorityRule`."""
    draws = random.Random(seed)
    return sum(_proves(draws, gain, loss, most) for _ in range(gates)) / gates


def _proves(draws: random.Random, gain: float, loss: float, most: int) -> bool:
    gains = losses = run = 0
    limit, needed = min(FIRST_CASES, most), ACCEPT_AT
    while True:
        if e_value(gains, losses) >= needed:
            return True
        if run >= limit or futile(gains, losses, run, limit - run, needed):
            if limit == most or not promising(gains, losses):
                return False
            limit, needed = most, EXTENDED_ACCEPT_AT
            continue
        for _ in range(min(4, limit - run)):
            draw = draws.random()
            gains, losses = gains + (draw < gain), losses + (gain <= draw < gain + loss)
            run += 1


def rate_of_tests(gain: float, loss: float, gates: int) -> float:
    """Return the same by `GateTest`, which is slower."""
    draws = random.Random(7)
    proven = 0
    for _ in range(gates):
        cases = [f"h{number}" for number in range(MOST_CASES)]
        test = gate_test(GateCases(cases, []), 4, shortening=False)
        _walk(test, lambda case: _drawn(draws, case, gain, loss))
        proven += test.proven
    return proven / gates


def _drawn(draws: random.Random, case: str, gain: float, loss: float) -> Pair:
    draw = draws.random()
    old, new = gain <= draw, not gain <= draw < gain + loss
    return Pair(case, True, old, new, float(old), float(new))


def _walk(test: GateTest, pair: Callable[[str], Pair]) -> None:
    while not test.proven:
        while (batch := test.next()) and not test.proven:
            test.add(batch, [pair(each) for each in batch])
        if not test.extendable:
            return
        test.extend(MOST_CASES)


@pytest.mark.parametrize("discordant", [0.05, 0.1, 0.2, 0.4])
def test_equals_are_accepted_in_at_most_half_a_percent(discordant: float) -> None:
    rate = found(discordant / 2, discordant / 2, 4000)
    assert rate <= 0.005 + 2 * math.sqrt(0.005 / 4000)
    first = found(discordant / 2, discordant / 2, 4000, most=FIRST_CASES)
    assert first <= 0.004 + 2 * math.sqrt(0.004 / 4000)


@pytest.mark.parametrize(("difference", "least"), [(0.125, 0.45), (0.175, 0.70)])
def test_real_gains_are_found_in_two_stages(difference: float, least: float) -> None:
    """With 5 % of the cases lost by chance; 60 cases alone find 15 and 37 %."""
    staged = found(difference + 0.05, 0.05, 1500)
    assert staged >= least + 0.05
    assert staged >= found(difference + 0.05, 0.05, 1500, most=FIRST_CASES) + 0.3


def test_the_test_of_the_product_follows_this_rule() -> None:
    assert rate_of_tests(0.225, 0.05, 150) == pytest.approx(found(0.225, 0.05, 150), abs=0.001)


@pytest.mark.parametrize("cases", [20, 60, 100, 200])
def test_what_is_called_detectable_is_found_with_80_percent(cases: int) -> None:
    difference = detectable_difference(cases)
    assert difference is not None
    assert found(difference + 0.05, 0.05, 1500, most=cases) >= 0.78
    assert found(difference - 0.05, 0.05, 1500, most=cases) <= 0.82


def test_a_few_cases_detect_nothing_and_more_never_less() -> None:
    assert detectable_difference(0) is detectable_difference(9) is None
    seen = [
        each for n in range(0, MOST_CASES + 1, 8) if (each := detectable_difference(n)) is not None
    ]
    assert seen == sorted(seen, reverse=True)


def test_a_clear_winner_stops_after_12_to_16_pairs() -> None:
    draws, sizes = random.Random(3), []
    for _ in range(200):
        cases = [f"h{number}" for number in range(MOST_CASES)]
        test = gate_test(GateCases(cases, []), 4, shortening=False)
        while batch := test.next():
            test.add(batch, [_drawn(draws, each, 0.92, 0.0) for each in batch])
        assert test.decision().verdict == "accepted"
        sizes.append(len(test.pairs))
    assert sorted(sizes)[100] <= 12
    assert sorted(sizes)[190] <= 16


@pytest.mark.parametrize(("spread", "shape"), [(0.15, "normal"), (0.0, "two values")])
def test_a_harm_of_a_tenth_passes_in_at_most_5_percent(spread: float, shape: str) -> None:
    draws, passed = random.Random(4), 0
    for _ in range(200):
        pairs: list[Pair] = []
        while len(pairs) < 100 and not not_inferior(pairs):
            d = draws.gauss(-0.1, spread) if shape == "normal" else -(draws.random() < 0.1)
            pairs.append(Pair("a", False, True, True, 1.0, 1 + max(-1.0, d)))
        passed += not_inferior(pairs)
    assert passed / 200 <= 0.05
    assert not not_inferior([Pair("a", True, False, True, 0, 1)] * (FEWEST_PAIRS - 1))


@dataclass(frozen=True)
class World:
    """A system of 13 kinds of cases: how many of them the incumbent passes, and how often."""

    sound: int
    rate: float
    elsewhere: float


def lost(world: World, broken: float | None, gates: int) -> float:
    """Return how often a gate that proves a candidate finds a slice lost.

    Args:
        world: what the incumbent passes.
        broken: how often the candidate passes the first of the sound kinds; None for as often as
            the incumbent in each of them. It passes 0.94 of all others.
        gates: that prove the candidate.
    """
    draws, counted, flagged = random.Random(5), 0, 0
    old = [world.rate] * world.sound + [world.elsewhere] * (13 - world.sound)
    new = [min(rate, 0.94) if at < world.sound else 0.94 for at, rate in enumerate(old)]
    if broken is not None:
        new = [broken, *[0.94] * 12]
    while counted < gates:
        test = _of_kinds(draws, old, new)
        counted += test.proven
        code = test.decision().reason["code"]
        flagged += test.proven and code == "slices_lost"
    return flagged / gates


def _of_kinds(draws: random.Random, old: Sequence[float], new: Sequence[float]) -> GateTest:
    slices = {f"{place}-{kind}": f"kind{kind}" for kind in range(13) for place in range(20)}
    ids = list(slices)
    regression = [each for each in ids if int(each.partition("-")[0]) >= 15]
    held = [each for each in ids if each not in regression]
    test = gate_test(GateCases.in_turns(held, regression, [], slices), 4, shortening=False)
    while True:
        while batch := test.next():
            pairs = []
            for case in batch:
                kind = int(case.partition("-")[2])
                one, two = draws.random() < old[kind], draws.random() < new[kind]
                pairs.append(Pair(case, not test.proven, one, two, float(one), float(two)))
            test.add(batch, pairs)
        if not test.extendable:
            return test
        test.extend(MOST_CASES)


WORLDS = [World(1, 0.95, 0.0), World(6, 0.95, 0.0), World(1, 0.95, 0.3)]


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_a_broken_slice_is_found_before_a_release(world: World) -> None:
    assert lost(world, 0.3, 80) >= 0.90
    assert lost(world, 0.0, 80) >= 0.98  # 99 % and more in 1,000


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_a_sound_candidate_loses_no_slice(world: World) -> None:
    assert lost(world, None, 100) <= 0.01


SPREAD = 0.4  # of the logarithm of the tokens of a call, from case to case


def flagged(ratio: float, *, incumbent_rate: float, gates: int = 400) -> float:
    """Return how often a candidate that uses so many times the tokens needs approval."""
    draws, objected = random.Random(6), 0
    for _ in range(gates):
        runs = [draws.gauss(math.log(600), SPREAD) for _ in range(30)]
        usual = UsualTokens(version=1, runs=30, tokens=math.exp(math.fsum(runs) / 30))
        pairs = [_with_tokens(draws, ratio, incumbent_rate) for _ in range(14)]
        objected += guards.too_many_tokens(guards.token_use(pairs, usual))
    return objected / gates


def _with_tokens(draws: random.Random, ratio: float, incumbent_rate: float) -> Pair:
    size = math.exp(draws.gauss(math.log(600), SPREAD))
    used = [round(size * factor * math.exp(draws.gauss(0, 0.2))) for factor in (1, ratio)]
    old = draws.random() < incumbent_rate
    return Pair("a", True, old, True, float(old), 1.0, (), used[0], used[1])


@pytest.mark.parametrize("incumbent_rate", [0.0, 0.3, 0.9])
def test_a_candidate_that_doubles_the_tokens_needs_approval(incumbent_rate: float) -> None:
    """Beside an incumbent that hardly passes, the last good version's runs are the measure."""
    assert flagged(2.0, incumbent_rate=incumbent_rate) >= 0.95
    assert flagged(1.0, incumbent_rate=incumbent_rate) <= 0.03


def test_without_anything_to_compare_with_tokens_decide_nothing() -> None:
    pairs = [Pair("a", True, False, True, 0, 1, (), 100, 1000)] * 20
    use = guards.token_use(pairs, None)
    assert (use["ratio"], guards.too_many_tokens(use)) == (None, False)
