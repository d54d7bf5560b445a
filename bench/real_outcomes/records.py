"""Reading recorded outcomes: JSON lines of source, task, arm and whether the task was passed."""

import gzip
import json
import math
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import permutations
from pathlib import Path
from statistics import fmean
from typing import IO, Any, Final, Literal

Unit = Literal["cost_usd", "calls"]

LEAST_TASKS: Final = 20  # that two arms must have in common to be compared
_TRIAL_NUMBER: Final = re.compile(r"[-_ ]?(?:trial|run)[-_ ]?\d+$", re.IGNORECASE)


class RecordError(ValueError):
    """A line cannot be used; the message names the file and the line."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial of a task; its cost in US dollars and in calls, where these are known."""

    passed: bool
    cost_usd: float | None = None
    calls: float | None = None

    def cost(self, unit: Unit) -> float:
        """Return the cost in a unit; 0 if it is not known."""
        return (self.cost_usd if unit == "cost_usd" else self.calls) or 0.0


@dataclass(frozen=True)
class Arm:
    """One version of a system: its trials of each task, and the tags of the tasks."""

    source: str
    name: str
    tasks: dict[str, list[Trial]] = field(default_factory=lambda: defaultdict(list))
    tags: dict[str, frozenset[str]] = field(default_factory=dict)

    @property
    def system(self) -> str:
        """The arm's name without the number of a run or trial: reruns of one version share it."""
        return _TRIAL_NUMBER.sub("", self.name) or self.source

    @cached_property
    def rates(self) -> Mapping[str, float]:
        """The share of trials passed, by task."""
        return {task: fmean(each.passed for each in row) for task, row in self.tasks.items()}

    def has_cost(self, unit: Unit) -> bool:
        """Tell whether the cost of a trial that passed is known in a unit."""
        return any(each.passed and each.cost(unit) for row in self.tasks.values() for each in row)

    @cached_property
    def rate(self) -> float:
        """The share of tasks passed, 0 to 1; each task counts the same."""
        return fmean(self.rates.values())


@dataclass(frozen=True)
class Change:
    """A change from one arm to another of the same source, over the tasks of both."""

    old: Arm
    new: Arm
    tasks: tuple[str, ...]

    @cached_property
    def difference(self) -> float:
        """The true difference of the pass rates over these tasks, new less old, -1 to 1."""
        return self.difference_over(self.tasks)

    def difference_over(self, tasks: Iterable[str]) -> float:
        """Return the difference over some of the tasks."""
        return fmean(self.new.rates[task] - self.old.rates[task] for task in tasks)

    @cached_property
    def slices(self) -> Mapping[str, list[str]]:
        """The tasks by tag."""
        found: dict[str, list[str]] = defaultdict(list)
        for task in self.tasks:
            for tag in self.old.tags.get(task, frozenset()) | self.new.tags.get(task, frozenset()):
                found[tag].append(task)
        return found

    @cached_property
    def unit(self) -> Unit | None:
        """In what both arms have a cost; None if in nothing."""
        units: tuple[Unit, ...] = ("cost_usd", "calls")
        both = (self.old, self.new)
        return next((unit for unit in units if all(arm.has_cost(unit) for arm in both)), None)

    @cached_property
    def cost_ratio(self) -> float | None:
        """The ratio, new to old, of the geometric mean costs of trials that passed, if known."""
        old, new = (self._passing_cost(arm) for arm in (self.old, self.new))
        return new / old if new and old else None

    def _passing_cost(self, arm: Arm) -> float:
        unit = self.unit
        trials = (each for task in self.tasks for each in arm.tasks[task] if each.passed)
        logs = [math.log(cost) for each in trials if unit and (cost := each.cost(unit))]
        return math.exp(fmean(logs)) if logs else 0.0


def read_arms(paths: Iterable[Path]) -> list[Arm]:
    """Read arms from files of JSON lines, plain or compressed with gzip.

    Raises:
        RecordError: a file cannot be read, a line is no JSON object, or a field is missing or of
            another type.
    """
    rows = [row for path in paths for row in _rows_of(path)]
    arms: dict[tuple[str, str], Arm] = {}
    for row in rows:
        source, name, task = row["source"], row["arm"], row["task"]
        arm = arms.setdefault((source, name), Arm(source, name))
        arm.tasks[task].append(Trial(row["passed"], row["cost_usd"], row["calls"]))
        arm.tags[task] = arm.tags.get(task, frozenset()) | row["tags"]
    return list(arms.values())


def changes(arms: Iterable[Arm]) -> Iterator[Change]:
    """Yield every change between two arms of a source that have enough tasks in common."""
    by_source: dict[str, list[Arm]] = defaultdict(list)
    for arm in arms:
        by_source[arm.source].append(arm)
    for group in by_source.values():
        for old, new in permutations(group, 2):
            common = tuple(task for task in old.tasks if task in new.tasks)
            if len(common) >= LEAST_TASKS:
                yield Change(old, new, common)


def repeated_systems(arms: Iterable[Arm]) -> list[Arm]:
    """Return systems with several trials of their tasks, reruns put together, only such tasks."""
    merged: dict[tuple[str, str], Arm] = {}
    for arm in arms:
        system = merged.setdefault((arm.source, arm.system), Arm(arm.source, arm.system))
        for task, trials in arm.tasks.items():
            system.tasks[task].extend(trials)
    for system in merged.values():
        for task in [task for task, trials in system.tasks.items() if len(trials) < 2]:
            del system.tasks[task]
    return [system for system in merged.values() if len(system.tasks) >= LEAST_TASKS]


def _rows_of(path: Path) -> list[dict[str, Any]]:
    try:
        return list(_rows(path))
    except (OSError, EOFError, zlib.error) as error:
        raise RecordError(f"{path}: {error}") from error


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with _opened(path) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield _checked(json.loads(line.decode()), path)
            except (ValueError, RecursionError) as error:
                raise RecordError(f"{path}:{number}: {error}") from error


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _checked(row: Any, path: Path) -> dict[str, Any]:
    """Return a row with its fields in one form.

    Raises:
        ValueError: it is no object, or a field is missing or of another type.
    """
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - as of any other bad line
    for name in ("task", "arm"):
        if not isinstance(row.get(name), str | int) or row[name] == "":
            raise ValueError(f"`{name}` must be a text")
    if row.get("passed") not in (True, False):
        raise ValueError("`passed` must be true or false")
    return {
        "source": str(row.get("source") or path.name.partition(".")[0]),
        "task": str(row["task"]),
        "arm": str(row["arm"]),
        "passed": bool(row["passed"]),
        "cost_usd": _amount(row, "cost_usd"),
        "calls": _amount(row, "calls"),
        "tags": _tags(row),
    }


def _amount(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"`{name}` must be a number of at least 0")
    return float(value)


def _tags(row: Mapping[str, Any]) -> frozenset[str]:
    value = row.get("tags")
    value = [] if value is None else value
    tags = [value] if isinstance(value, str) else value
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise ValueError("`tags` must be a list of texts")
    return frozenset(tags)
