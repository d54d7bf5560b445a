"""The tables: what the rules decide on recorded outcomes, each figure with its interval."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final, NamedTuple, TypeVar

from bench.real_outcomes.gates import (
    OTHERS,
    OURS,
    Sample,
    of_change,
    of_equals,
    product_gate,
)
from bench.real_outcomes.records import Arm, Change, Unit
from bench.real_outcomes.releases import Draw, Ended, canary, trials_of, watch
from selfheal.optimizer.policy.canary import MOST_TOKENS
from selfheal.optimizer.statistics import share_interval

Value = TypeVar("Value")

SLICE_LOST: Final = 0.20  # a drop of the pass rate of a slice that counts as a loss
LIVE_SLICE: Final = 0.60  # the least pass rate of a slice that can be lost
LEAST_SLICE: Final = 10  # tasks


class Bin(NamedTuple):
    """A range of differences or rates, `above` excluded and `to` included, with its name."""

    name: str
    above: float
    to: float

    def holds(self, value: float) -> bool:
        """Tell whether a value, rounded against errors of addition, is in the range."""
        return self.above < round(value, 9) <= self.to


GAINS: Final = (
    Bin("<= 0", -2.0, 0.0),
    Bin("0-5", 0.0, 0.05),
    Bin("5-10", 0.05, 0.10),
    Bin("10-15", 0.10, 0.15),
    Bin("15-20", 0.15, 0.20),
    Bin("> 20", 0.20, 2.0),
)
DROPS: Final = (
    *(Bin(f"{low}-{low + 5}", low / 100, (low + 5) / 100) for low in (5, 10, 15)),
    Bin("20-30", 0.20, 0.30),
    Bin("> 30", 0.30, 1.0),
)
RATES: Final = (
    Bin("<= .1", -1.0, 0.1),
    *(Bin(f".{n}-.{n + 1}", n / 10, (n + 1) / 10) for n in range(1, 9)),
    Bin("> .9", 0.9, 1.0),
)
RATIOS: Final = (
    Bin("<= 1", 0.0, 1.0),
    Bin(f"1-{MOST_TOKENS:g}", 1.0, MOST_TOKENS),
    Bin(f"{MOST_TOKENS:g}-2", MOST_TOKENS, 2.0),
    Bin("> 2", 2.0, 1e9),
)


@dataclass(frozen=True, slots=True)
class Share:
    """How often something happened, with its exact 95 % interval."""

    count: int
    of: int

    @property
    def interval(self) -> tuple[float, float]:
        """The interval, 0 to 1."""
        return share_interval(self.count, self.of)

    def __str__(self) -> str:
        """Return percentages: the share, and its interval."""
        if not self.of:
            return "-"
        low, high = (100 * each for each in self.interval)
        return f"{100 * self.count / self.of:.1f} [{low:.2f}, {high:.2f}]"


@dataclass(slots=True)
class Acceptance:
    """How often each rule accepted; how many pairs the product's gate took."""

    changes: int
    trials: int = 0
    accepted: Counter[str] = field(default_factory=Counter)
    pairs: list[int] = field(default_factory=list)
    losing: int = 0  # accepted by the product's gate although a slice is lost
    sliced: int = 0  # accepted by the product's gate where there are slices to lose

    def share(self, rule: str) -> Share:
        """Return how often a rule accepted."""
        return Share(self.accepted[rule], self.trials)


@dataclass(frozen=True, slots=True)
class Measured:
    """The number of arms or changes in a line, and what became of the releases."""

    size: int
    actions: Counter[str]
    runs: tuple[int, ...] = ()  # of those that were rolled back

    def share(self, action: str) -> Share:
        """Return how often this was done."""
        return Share(self.actions[action], self.actions.total())

    @property
    def median_runs(self) -> float | None:
        """After how many runs a release was rolled back."""
        return median(self.runs) if self.runs else None


def acceptance(
    changes: Sequence[Change], repeats: int, draws: random.Random
) -> dict[str, Acceptance]:
    """Return by true difference, in points, how often each rule accepts a change."""
    return {
        name: _accepted(inside, repeats, draws)
        for name, inside in _binned(changes, GAINS, lambda change: change.difference)
    }


def _accepted(changes: Sequence[Change], repeats: int, draws: random.Random) -> Acceptance:
    found = Acceptance(len(changes))
    for _ in range(repeats if changes else 0):
        change = draws.choice(changes)
        if _decide(of_change(change, draws), found):
            lost = lost_slices(change)
            found.sliced += lost is not None
            found.losing += bool(lost)
    return found


def equals(systems: Sequence[Arm], repeats: int, draws: random.Random) -> Acceptance:
    """Return how often each rule accepts a system in place of itself, by other trials of it."""
    found = Acceptance(len(systems))
    for _ in range(repeats if systems else 0):
        _decide(of_equals(draws.choice(systems), draws), found)
    return found


def _decide(sample: Sample, found: Acceptance) -> bool:
    """Add what each rule decides; return whether the product's gate accepts."""
    ours = product_gate(sample)
    found.trials += 1
    found.pairs.append(ours.pairs)
    found.accepted[OURS] += ours.verdict == "accepted"
    for name, accepts in OTHERS.items():
        found.accepted[name] += accepts(sample)
    return ours.verdict == "accepted"


def lost_slices(change: Change) -> list[str] | None:
    """Return the tags that a change loses; None if it has none that could be lost."""
    live = {
        tag: tasks
        for tag, tasks in change.slices.items()
        if len(tasks) >= LEAST_SLICE
        and sum(change.old.rates[task] for task in tasks) >= LIVE_SLICE * len(tasks)
    }
    if not live:
        return None
    return [tag for tag, tasks in live.items() if change.difference_over(tasks) <= -SLICE_LOST]


class Released(NamedTuple):
    """A release that may happen: from one arm to another, over tasks, with a unit of cost."""

    old: Arm
    new: Arm
    tasks: Sequence[str]
    unit: Unit | None = None


def equals_by_rate(arms: Sequence[Arm]) -> Iterator[tuple[str, list[Released]]]:
    """Yield by pass rate the releases of a version that is like the one before it."""
    for name, inside in _binned(arms, RATES, lambda arm: arm.rate):
        yield name, [Released(arm, arm, tuple(arm.tasks)) for arm in inside]


def drops(changes: Sequence[Change]) -> Iterator[tuple[str, list[Released]]]:
    """Yield by true drop, in points, the releases of a worse version."""
    for name, inside in _binned(changes, DROPS, lambda change: -change.difference):
        yield name, [Released(each.old, each.new, each.tasks) for each in inside]


def priced(changes: Sequence[Change]) -> Iterator[tuple[str, list[Released]]]:
    """Yield by true ratio of costs, new to old, the releases of versions that pass no less."""
    known = [each for each in changes if each.cost_ratio and each.difference >= 0]
    for name, inside in _binned(known, RATIOS, lambda change: change.cost_ratio or 0.0):
        yield name, [Released(each.old, each.new, each.tasks, each.unit) for each in inside]


def watched(
    releases: Sequence[Released], record: int, repeats: int, draws: random.Random
) -> Measured:
    """Return what the watch does, with so many runs of the version before."""
    return _measured(releases, repeats, draws, lambda old, new, unit: watch(old, new, record))


def canaries(releases: Sequence[Released], repeats: int, draws: random.Random) -> Measured:
    """Return what becomes of canaries."""
    return _measured(releases, repeats, draws, lambda old, new, unit: canary(old, new, draws, unit))


def _measured(
    releases: Sequence[Released],
    repeats: int,
    draws: random.Random,
    end: Callable[[Draw, Draw, Unit | None], Ended],
) -> Measured:
    actions: Counter[str] = Counter()
    runs: list[int] = []
    for _ in range(repeats):
        old, new, tasks, unit = draws.choice(releases)
        ended = end(trials_of(old, tasks, draws), trials_of(new, tasks, draws), unit)
        actions[ended.action] += 1
        if ended.action == "take_back":
            runs.append(ended.runs)
    return Measured(len(releases), actions, tuple(runs))


def _binned(
    values: Sequence[Value], bins: Sequence[Bin], measure: Callable[[Value], float]
) -> Iterator[tuple[str, list[Value]]]:
    """Yield each range that holds something, with what it holds."""
    measured = [(measure(value), value) for value in values]
    for each in bins:
        if inside := [value for figure, value in measured if each.holds(figure)]:
            yield each.name, inside
