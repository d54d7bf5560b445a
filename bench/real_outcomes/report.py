"""The report: every table of the rules on recorded outcomes, line by line as it is measured."""

import random
from collections.abc import Iterator, Sequence
from statistics import median

from bench.real_outcomes.gates import HELD_OUT, OTHERS, OURS
from bench.real_outcomes.measures import (
    LIVE_SLICE,
    SLICE_LOST,
    Acceptance,
    Released,
    Share,
    acceptance,
    canaries,
    drops,
    equals,
    equals_by_rate,
    priced,
    watched,
)
from bench.real_outcomes.records import LEAST_TASKS, Arm, Change, changes, repeated_systems
from bench.real_outcomes.releases import RECORDS

_RULES = (OURS, *OTHERS)


class Outcomes:
    """What was recorded, and how it is measured.

    Args:
        arms: at least one.
        repeats: trials of each figure.
        seed: of all draws.
    """

    def __init__(self, arms: Sequence[Arm], repeats: int, seed: int) -> None:
        self.arms = [arm for arm in arms if len(arm.tasks) >= LEAST_TASKS]
        self.changes: list[Change] = list(changes(self.arms))
        self.systems = repeated_systems(arms)
        self.repeats = repeats
        self._seed = seed

    def draws(self, name: str) -> random.Random:
        """Return the draws of one table, which do not depend on the tables before it."""
        return random.Random(f"{self._seed} {name}")

    def acceptance(self) -> dict[str, Acceptance]:
        """Return how often each rule accepts a change, by its true difference."""
        return acceptance(self.changes, self.repeats, self.draws("acceptance"))


def lines(outcomes: Outcomes, accepted: dict[str, Acceptance]) -> Iterator[str]:
    """Yield the report as Markdown, given the acceptance by true difference."""
    yield from _head(outcomes)
    yield from _acceptance(outcomes, accepted)
    yield from _slices(accepted)
    yield from _watch("equal versions, by pass rate", equals_by_rate(outcomes.arms), outcomes)
    yield from _watch("worse versions, by drop in points", drops(outcomes.changes), outcomes)
    yield from _canaries(outcomes)
    yield from _guards(outcomes)


def _head(outcomes: Outcomes) -> Iterator[str]:
    yield "# Decision rules on recorded outcomes"
    yield ""
    yield (
        f"{len(outcomes.arms)} arms of {len({arm.source for arm in outcomes.arms})} sources with at"
        f" least {LEAST_TASKS} tasks, {len(outcomes.changes)} changes between two of them,"
        f" {len(outcomes.systems)} systems with several trials of a task. {outcomes.repeats} trials"
        " a figure, in percent with exact 95 % intervals; tasks are drawn with replacement."
    )


def _acceptance(outcomes: Outcomes, accepted: dict[str, Acceptance]) -> Iterator[str]:
    yield from _title(f"Accepted, by true difference in points ({HELD_OUT} held-out cases)")
    yield from _header("true difference", "changes", *_RULES, "pairs, median")
    for name, found in accepted.items():
        yield _accepted(name, found)
    same = equals(outcomes.systems, outcomes.repeats, outcomes.draws("equals"))
    if same.trials:
        yield _accepted("equal, fresh noise", same)
    else:
        yield ""
        yield "No task has several trials: equal versions with fresh noise cannot be measured."


def _accepted(name: str, found: Acceptance) -> str:
    pairs = f"{median(found.pairs):g}"
    return _row(name, found.changes, *(found.share(rule) for rule in _RULES), pairs)


def _slices(accepted: dict[str, Acceptance]) -> Iterator[str]:
    yield from _title(
        f"Slices lost by accepted changes (a slice passed at {LIVE_SLICE:.0%} or more that loses"
        f" {100 * SLICE_LOST:.0f} points)"
    )
    sliced = sum(found.sliced for found in accepted.values())
    if not sliced:
        yield "No accepted change has a slice that could be lost: no tags, or none often passed."
        return
    yield from _header("true difference", "lost a slice")
    for name, found in accepted.items():
        yield _row(name, Share(found.losing, found.sliced))


def _watch(
    what: str, groups: Iterator[tuple[str, list[Released]]], outcomes: Outcomes
) -> Iterator[str]:
    yield from _title(f"Watch, {what}: rolled back within 200 runs (median runs)")
    kinds = list(groups)
    if not kinds:
        yield "There are none."
        return
    yield from _header("", "releases", *(f"{record} old runs" for record in RECORDS))
    draws = outcomes.draws(f"watch {what}")
    for name, releases in kinds:
        found = [watched(releases, record, outcomes.repeats, draws) for record in RECORDS]
        cells = [f"{each.share('take_back')}{_after(each.median_runs)}" for each in found]
        yield _row(name, len(releases), *cells)


def _after(runs: float | None) -> str:
    return "" if runs is None else f" ({runs:g})"


def _canaries(outcomes: Outcomes) -> Iterator[str]:
    yield from _title("Canary, of 50 % of the runs, 200 runs a version at most")
    yield from _header("", "releases", "rolled back", "promoted", "held", "median runs")
    draws = outcomes.draws("canary")
    groups = [
        *((f"equal, at {name}", releases) for name, releases in equals_by_rate(outcomes.arms)),
        *((f"drop of {name}", releases) for name, releases in drops(outcomes.changes)),
    ]
    for name, releases in groups:
        found = canaries(releases, outcomes.repeats, draws)
        shares = [found.share(each) for each in ("take_back", "promote", "hold")]
        yield _row(name, found.size, *shares, _after(found.median_runs).strip(" ()"))


def _guards(outcomes: Outcomes) -> Iterator[str]:
    yield from _title("Guards: canaries of versions that pass no less, by true ratio of costs")
    groups = list(priced(outcomes.changes))
    if not groups:
        yield "No two arms have a cost in the same unit."
        return
    yield from _header("ratio", "changes", "held", "promoted", "rolled back")
    draws = outcomes.draws("guards")
    for name, releases in groups:
        found = canaries(releases, outcomes.repeats, draws)
        shares = [found.share(each) for each in ("hold", "promote", "take_back")]
        yield _row(name, found.size, *shares)


def _title(text: str) -> Iterator[str]:
    yield from ("", f"## {text}", "")


def _header(*names: str) -> Iterator[str]:
    yield _row(*names)
    yield _row(*("---" for _ in names))


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"
