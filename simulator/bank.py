"""The bank of tasks with a sound solution each, and how a request finds its task."""

import ast
import math
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from simulator.source import Entry, find_entry

BANK_FOLDER = Path(__file__).parent / "bank"
_THRESHOLD = 0.3
_CAMEL = re.compile(r"[a-z][A-Z]")
_WORD = re.compile(r"[a-z]+")
_STOP = frozenset(
    _WORD.findall(
        """a an the of to in on for and or with that this it is are be as by from given into each
        any all write function python implement create make return returns takes take called named
        code please need want me i you which whose should must when if not no its their one define
        def helper small give build returning where there them they than then so us my we how class
        method"""
    )
)


class BankError(ValueError):
    """A file of the bank is not as it should be."""


@dataclass(frozen=True, eq=False)
class Task:
    """One task: how people ask for it, code that does it, examples that hold."""

    name: str
    requests: tuple[str, ...]
    solution: str
    examples: tuple[Mapping[str, str], ...]

    @cached_property
    def entry(self) -> Entry:
        """The entry point's definition in the solution."""
        return find_entry(ast.parse(self.solution), self.name)


class Bank:
    """The tasks, found by entry-point name or by the words of a request."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self.tasks = {task.name: task for task in tasks}
        phrasings = [(task, stems(text)) for task in self.tasks.values() for text in task.requests]
        seen_in = defaultdict(set)
        for task, words in phrasings:
            for word in words | stems(task.name.replace("_", " ")):
                seen_in[word].add(task.name)
        count = len(self.tasks)
        self._weights = {word: math.log(1 + count / len(in_)) for word, in_ in seen_in.items()}
        self._rare = math.log(1 + count)
        self._phrasings = [(task, words, self._weight(words)) for task, words in phrasings]
        self._names = re.compile(r"(?<![\w.])(" + "|".join(map(re.escape, self.tasks)) + r")\b")

    def find(self, *texts: str) -> Task | None:
        """Return the task that the texts ask for, the first text being the request."""
        return self._by_name(texts) or self._by_words(texts[0])

    def _by_name(self, texts: Iterable[str]) -> Task | None:
        if not self.tasks:
            return None
        for text in texts:
            named = [match for match in self._names.finditer(text) if _is_name(match)]
            if named:
                counts = Counter(match[1] for match in named)
                return self.tasks[counts.most_common(1)[0][0]]
        return None

    def _by_words(self, request: str) -> Task | None:
        words = stems(request)
        total = self._weight(words)
        best, best_score = None, _THRESHOLD
        for task, known, weight in self._phrasings:
            shared = self._weight(words & known)
            score = shared / math.sqrt(total * weight) if shared else 0.0
            if score > best_score:
                best, best_score = task, score
        return best

    def _weight(self, words: Iterable[str]) -> float:
        return sum(self._weights.get(word, self._rare) for word in words)


def stems(text: str) -> frozenset[str]:
    """Return the text's telling words, endings cut, so that `sorted` meets `sorting`."""
    words = (word for word in _WORD.findall(text.lower()) if word not in _STOP)
    return frozenset(re.sub(r"(?:ings?|ed|es|s|e|ly)$", "", word) or word for word in words)


def _is_name(match: re.Match[str]) -> bool:
    """Tell a function's name from a plain word that is spelt the same."""
    text, (start, end) = match.string, match.span()
    if "_" in match[1] or text[end : end + 1] == "(" or _CAMEL.search(match[1]):
        return True
    before = text[max(0, start - 12) : start].lower()
    return before.endswith(("`", "def ", "called ", "named ", "function ", "class "))


@cache
def load_bank(folder: Path = BANK_FOLDER) -> Bank:
    """Read and check every `*.toml` of the folder. Raises BankError, naming file and task."""
    tasks: dict[str, Task] = {}
    for path in sorted(folder.glob("*.toml")):
        for task in _read_file(path):
            if task.name in tasks:
                raise BankError(f"{path.name}: task {task.name} is there twice")
            tasks[task.name] = task
    return Bank(tasks.values())


def _read_file(path: Path) -> list[Task]:
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8")).get("task", [])
    except tomllib.TOMLDecodeError as error:
        raise BankError(f"{path.name}: no valid TOML: {error}") from error
    return [_read_task(f"{path.name}, task {number}", row) for number, row in enumerate(rows, 1)]


def _read_task(where: str, row: dict[str, Any]) -> Task:
    for key, kind in (("name", str), ("requests", list), ("solution", str), ("examples", list)):
        if not isinstance(row.get(key), kind) or not row[key]:
            raise BankError(f"{where}: `{key}` must be a {kind.__name__} that is not empty")
    where = f"{where} ({row['name']})"
    if not all(isinstance(text, str) and text.strip() for text in row["requests"]):
        raise BankError(f"{where}: every request must be a text")
    for example in row["examples"]:
        _check_example(where, example)
    task = Task(row["name"], tuple(row["requests"]), row["solution"], tuple(row["examples"]))
    try:
        _ = task.entry
    except (SyntaxError, LookupError) as error:
        raise BankError(f"{where}: `solution`: {error}") from error
    return task


def _check_example(where: str, example: object) -> None:
    texts = isinstance(example, dict) and all(isinstance(v, str) for v in example.values())
    if not texts or set(example) not in ({"call", "returns"}, {"call", "raises"}):  # type: ignore[call-overload]
        raise BankError(f"{where}: an example has `call` and either `returns` or `raises`, as text")
    try:
        ast.parse(example["call"], mode="eval")  # type: ignore[index]
        if "returns" in example:  # type: ignore[operator]
            ast.literal_eval(example["returns"])  # type: ignore[index]
    except (SyntaxError, ValueError) as error:
        raise BankError(f"{where}: example {example}: {error}") from error
