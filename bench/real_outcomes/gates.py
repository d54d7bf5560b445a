"""Whether a change is accepted: by the product's gate, and by rules that others use.

Cases are drawn with replacement from the tasks of both arms, so that the difference over all tasks
is the true one.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb
from typing import Final, NamedTuple

from bench.real_outcomes.records import Arm, Change
from selfheal.optimizer.policy.noninferiority import gate_test
from selfheal.optimizer.policy.sequential_test import GateCases
from selfheal.optimizer.policy.superiority import Pair

HELD_OUT: Final = 200
REGRESSION: Final = 30
_WIDTH: Final = 4  # cases at once, as SELFHEAL_MAX_CONCURRENCY has it by default


class Drawn(NamedTuple):
    """A case that was drawn: its task, whether each side passed it, and its kind of work."""

    task: str
    old: bool
    new: bool
    slice: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """The cases of one gate."""

    held_out: Sequence[Drawn]
    regression: Sequence[Drawn]


class Decided(NamedTuple):
    """The gate's verdict, and how many pairs it took."""

    verdict: str
    pairs: int


def of_change(change: Change, draws: random.Random) -> Sample:
    """Draw the cases of a gate for a change."""

    def drawn() -> Drawn:
        task = draws.choice(change.tasks)
        old = draws.choice(change.old.tasks[task]).passed
        new = draws.choice(change.new.tasks[task]).passed
        return Drawn(task, old, new, min(change.old.tags.get(task, ()), default=""))

    return _sample(drawn)


def of_equals(system: Arm, draws: random.Random) -> Sample:
    """Draw the cases of a gate of a system against itself, with two different trials of each."""
    tasks = tuple(system.tasks)

    def drawn() -> Drawn:
        task = draws.choice(tasks)
        old, new = draws.sample(system.tasks[task], 2)
        return Drawn(task, old.passed, new.passed)

    return _sample(drawn)


def _sample(drawn: Callable[[], Drawn]) -> Sample:
    return Sample([drawn() for _ in range(HELD_OUT)], [drawn() for _ in range(REGRESSION)])


def product_gate(sample: Sample) -> Decided:
    """Run the product's own gate on a sample. The only place that knows its functions."""
    cases = {f"h{place}": case for place, case in enumerate(sample.held_out)}
    cases |= {f"r{place}": case for place, case in enumerate(sample.regression)}
    held, regression = ([each for each in cases if each[0] == kind] for kind in "hr")
    slices = {each: case.slice for each, case in cases.items()}
    in_turns = GateCases.in_turns(held, regression, (), slices)
    test = gate_test(in_turns, _WIDTH, shortening=False)
    while True:
        while ids := test.next():
            test.add(ids, [_pair(case_id, cases[case_id]) for case_id in ids])
        if not test.extendable:
            break
        test.extend(HELD_OUT)
    return Decided(test.decision().verdict, len(test.pairs))


def _pair(case_id: str, case: Drawn) -> Pair:
    return Pair(case_id, case_id[0] == "h", case.old, case.new, float(case.old), float(case.new))


def _more_passes(n: int) -> Callable[[Sample], bool]:
    def accepts(sample: Sample) -> bool:
        cases = sample.held_out[:n]
        return sum(case.new for case in cases) > sum(case.old for case in cases)

    return accepts


def _permutation(sample: Sample) -> bool:
    """Exact paired permutation test on 40 cases, one-sided at 5 %: signs of the differences."""
    gains, losses = _discordant(sample.held_out[:40])
    return gains > losses and _at_least(gains, gains + losses) < 0.05


def _mcnemar(sample: Sample) -> bool:
    """Exact McNemar test on 60 cases, two-sided at 5 %, and better."""
    gains, losses = _discordant(sample.held_out[:60])
    return gains > losses and 2 * _at_least(gains, gains + losses) < 0.05


def _discordant(cases: Sequence[Drawn]) -> tuple[int, int]:
    gains = sum(case.new and not case.old for case in cases)
    return gains, sum(case.old and not case.new for case in cases)


def _at_least(successes: int, of: int) -> float:
    """Return the probability of at least so many heads of a fair coin."""
    return sum(comb(of, each) for each in range(successes, of + 1)) / 2.0**of


OURS: Final = "selfheal"
OTHERS: Final[dict[str, Callable[[Sample], bool]]] = {
    "minibatch of 3": _more_passes(3),
    "10 held-out, better": _more_passes(10),
    "mean of 20": _more_passes(20),
    "permutation test, 40": _permutation,
    "exact McNemar, 60": _mcnemar,
}
