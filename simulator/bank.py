"""The bank of tasks with a sound solution each, and how a request finds its task."""

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from simulator.source import Entry, find_entry, functions_of, guards_of
from simulator.words import WordIndex

BANK_FOLDER = Path(__file__).parent / "bank"
_CAMEL = re.compile(r"[a-z][A-Z]")


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
    def guards(self) -> list[ast.If]:
        """The guards of the solution."""
        return guards_of(self.entry)

    @property
    def told(self) -> str:
        """All words about the task: requests, names and what the solution says of itself."""
        names = [arg.arg for node in functions_of(self.entry) for arg in node.args.args]
        plain = re.sub(r"_|(?<=[a-z])(?=[A-Z])", " ", " ".join((self.name, self.name, *names)))
        return " ".join((*self.requests, ast.get_docstring(self.entry) or "", plain))

    @cached_property
    def entry(self) -> Entry:
        """The entry point's definition in the solution."""
        return find_entry(ast.parse(self.solution), self.name)


class Bank:
    """The tasks, found by entry-point name or by the words of a request."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self.tasks = {task.name: task for task in tasks}
        self._words = WordIndex({name: task.told for name, task in self.tasks.items()})
        self._names = re.compile(r"(?<![\w.])(" + "|".join(map(re.escape, self.tasks)) + r")\b")

    def find(self, *texts: str) -> Task | None:
        """Return the task that the texts ask for, the first text being the request."""
        name = self._named(texts) or self._words.find(texts[0])
        return self.tasks[name] if name else None

    def _named(self, texts: Iterable[str]) -> str | None:
        """Return the task's name that the first text with any has most often."""
        for text in texts if self.tasks else ():
            named = Counter(match[1] for match in self._names.finditer(text) if _is_name(match))
            if named:
                return named.most_common(1)[0][0]
        return None


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
