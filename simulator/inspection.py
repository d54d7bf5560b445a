"""Inspects code without running it: the first impression of a reviewer."""

import ast
import re
from dataclasses import dataclass
from functools import lru_cache

from selfheal.simulator.derivation import normalized, sound_code
from selfheal.simulator.source import Entry, docstring_of, functions_of, guards_of
from selfheal.simulator.tasks import Task

_GREETING = re.compile(r"hello,?\s*world|\bgreet", re.IGNORECASE)
REMARKS = {
    "sound": "It does what the plan asks for.",
    "different": "It seems to do what was asked, though I would have done it in another way.",
    "no guard": "A case of invalid or empty input that was asked for is not treated.",
    "slip": "A bound or an operator is not right, so some results are wrong.",
    "wrong name": "The function that was asked for is not defined.",
    "no result": "The function returns nothing of use.",
    "empty": "The body is a placeholder; nothing is implemented.",
    "greeting": "It greets the world and ignores the request.",
    "no python": "There is no Python code that parses.",
}


@dataclass(frozen=True)
class Inspection:
    """The verdict on a program, a key of `REMARKS`, and whether it is documented and typed."""

    verdict: str
    documented: bool
    typed: bool

    @property
    def remarks(self) -> list[str]:
        """The result in sentences."""
        style = [] if self.documented else ["There are no docstrings."]
        style += [] if self.typed else ["There are no type hints."]
        return [REMARKS[self.verdict], *style]


@lru_cache(maxsize=4096)
def inspect(code: str, name: str | None, task: Task | None) -> Inspection:
    """Inspect code for a task, or by itself if the task is not known."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Inspection("no python", documented=False, typed=False)
    entry = _entry(tree, name)
    if entry is None:
        verdict = "greeting" if _GREETING.search(code) else "wrong name"
        return Inspection(verdict, documented=True, typed=True)
    return Inspection(_verdict(code, entry, task), _documented(entry), _typed(entry))


def _entry(tree: ast.Module, name: str | None) -> Entry | None:
    entries = [node for node in tree.body if isinstance(node, Entry)]
    if name is None:
        return entries[-1] if entries else None
    return next((node for node in entries if node.name == name), None)


def _public(entry: Entry) -> list[ast.FunctionDef]:
    return [node for node in functions_of(entry) if not node.name.startswith("_")]


def _documented(entry: Entry) -> bool:
    return all(docstring_of(node) for node in (entry, *_public(entry)))


def _typed(entry: Entry) -> bool:
    return all(
        node.returns is not None
        and all(
            arg.annotation or arg.arg == "self" for arg in (*node.args.args, *node.args.kwonlyargs)
        )
        for node in _public(entry)
    )


def _verdict(code: str, entry: Entry, task: Task | None) -> str:
    own = _trivial_verdict(entry)
    if own is not None:
        return own
    if task is None:
        return "different"
    if normalized(code, entry.name) == sound_code(task):
        return "sound"
    if _returns_nothing(entry):
        return "no result"
    if len(guards_of(entry)) < len(task.guards):
        return "no guard"
    return "slip" if _shape(entry) == _shape(task.entry) else _different_or_unguarded(entry, task)


def _trivial_verdict(entry: Entry) -> str | None:
    """Return the verdict on code without an implementation; None for other code."""
    working = [node for node in _working(entry) if not all(map(_is_empty, _body(node)))]
    names = {node.id for node in ast.walk(entry) if isinstance(node, ast.Name)}
    return "empty" if not working or "NotImplementedError" in names else None


def _working(entry: Entry) -> list[ast.FunctionDef]:
    """Return the functions that a caller can use: public ones, and operators such as `__add__`."""
    functions = (node for node in functions_of(entry) if node.name != "__init__")
    return [node for node in functions if node.name.endswith("__") or not node.name.startswith("_")]


def _body(function: ast.FunctionDef) -> list[ast.stmt]:
    return function.body[len(docstring_of(function)) :]


def _is_empty(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign | ast.Return):
        value = node.value
        return value is None or isinstance(value, ast.Constant | ast.Name)
    return isinstance(node, ast.Pass) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def _returns_nothing(entry: Entry) -> bool:
    values = [node.value for node in ast.walk(entry) if isinstance(node, ast.Return)]
    yields = any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(entry))
    empty = all(value is None or ast.unparse(value) == "None" for value in values)
    return empty and not yields


def _shape(entry: Entry) -> int:
    return sum(isinstance(node, ast.stmt) for node in ast.walk(entry))


def _different_or_unguarded(entry: Entry, task: Task) -> str:
    """Distinguish a bare `try` around everything from another valid implementation."""
    wraps = any(
        isinstance(node, ast.ExceptHandler) and node.type is None for node in ast.walk(entry)
    )
    return "no guard" if wraps and task.guards else "different"
