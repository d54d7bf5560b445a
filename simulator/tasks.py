"""Tasks of the bank, read from TOML."""

import ast
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from selfheal.simulator.source import Entry, find_entry, functions_of, guards_of


class BankError(ValueError):
    """A file of the bank is invalid."""


@dataclass(frozen=True, eq=False)
class Task:
    """One task: requests for it, a correct solution, and examples that hold for the solution.

    Attributes:
        name: the entry point's name.
        requests: complete requests for it.
        solution: the source of a correct program.
        examples: calls as text, each with `returns` (a literal) or `raises` (an exception's name).
        asks: patterns of short requests for it, see `request_index`; may be empty.
        words: further words that a short request may contain.
        variants: other forms of the task (recursive, as a class), each a task of the same name.
    """

    name: str
    requests: tuple[str, ...]
    solution: str
    examples: tuple[Mapping[str, str], ...]
    asks: tuple[str, ...] = ()
    words: str = ""
    variants: tuple["Task", ...] = ()

    @cached_property
    def guards(self) -> list[ast.If]:
        """The guards of the solution."""
        return guards_of(self.entry)

    @property
    def description(self) -> str:
        """All words about the task: of its requests, its names and the solution's docstring."""
        names = [arg.arg for node in functions_of(self.entry) for arg in node.args.args]
        split_names = re.sub(
            r"_|(?<=[a-z])(?=[A-Z])", " ", " ".join((self.name, self.name, *names))
        )
        return " ".join((*self.requests, ast.get_docstring(self.entry) or "", split_names))

    @cached_property
    def entry(self) -> Entry:
        """The entry point's definition in the solution."""
        return find_entry(ast.parse(self.solution), self.name)

    @property
    def forms(self) -> tuple["Task", ...]:
        """The task and its variants, those that short requests can ask for."""
        return tuple(form for form in (self, *self.variants) if form.asks)


def read_file(path: Path) -> list[Task]:
    """Read the tasks of a file. Raises BankError, naming file and task."""
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
    task = _read_form(where, row)
    variants = [
        _read_form(f"{where}, variant {number}", {**row, **variant})
        for number, variant in enumerate(row.get("variants", []), 1)
    ]
    return replace(task, variants=tuple(variants))


def _read_form(where: str, row: dict[str, Any]) -> Task:
    """Read a task or a variant. The row of a variant contains the keys that it inherits."""
    for example in row["examples"]:
        _check_example(where, example)
    asks, words = row.get("asks", []), row.get("words", "")
    if not (isinstance(asks, list) and all(isinstance(ask, str) and ask for ask in asks)):
        raise BankError(f"{where}: `asks` must be a list of texts")
    if not isinstance(words, str):
        raise BankError(f"{where}: `words` must be a text")
    examples = tuple(row["examples"])
    task = Task(row["name"], tuple(row["requests"]), row["solution"], examples, tuple(asks), words)
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
