"""Reading code without running it: what a reviewer sees at a glance."""

import ast
import re
from dataclasses import dataclass
from functools import lru_cache

from simulator.bank import Task, find_function
from simulator.mutations import MUTATIONS, guards
from simulator.noise import Noise

_GREETING = re.compile(r"hello,?\s*world|\bgreet", re.IGNORECASE)
_QUIET = Noise("inspection")
_REMARKS = {
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
class Finding:
    """What was found: one verdict on the function, and whether it is documented and typed."""

    verdict: str
    documented: bool
    typed: bool

    @property
    def remarks(self) -> list[str]:
        """The finding in sentences."""
        style = [] if self.documented else ["There are no docstrings."]
        style += [] if self.typed else ["There are no type hints."]
        return [_REMARKS[self.verdict], *style]


@lru_cache(maxsize=4096)
def inspect(code: str, name: str | None, task: Task | None) -> Finding:
    """Say what the code is worth for the task (or in itself, where the task is not known)."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return Finding("no python", documented=False, typed=False)
    entry = _entry(tree, name)
    if entry is None:
        verdict = "greeting" if _GREETING.search(code) else "wrong name"
        return Finding(verdict, documented=True, typed=True)
    documented, typed = ast.get_docstring(entry) is not None, _typed(entry)
    return Finding(_verdict(code, entry, task), documented, typed)


def _entry(tree: ast.Module, name: str | None) -> ast.FunctionDef | None:
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    if name is None:
        return functions[-1] if functions else None
    return next((node for node in functions if node.name == name), None)


def _typed(entry: ast.FunctionDef) -> bool:
    arguments = (*entry.args.posonlyargs, *entry.args.args, *entry.args.kwonlyargs)
    return entry.returns is not None and all(arg.annotation for arg in arguments)


def _verdict(code: str, entry: ast.FunctionDef, task: Task | None) -> str:
    own = _early(entry)
    if own is not None:
        return own
    if task is None:
        return "different"
    sound = task.entry
    if _normal(code, entry.name) == _sound(task):
        return "sound"
    if _returns_nothing(entry):
        return "no result"
    if len(guards(entry)) < len(guards(sound)):
        return "no guard"
    return "slip" if _shape(entry) == _shape(sound) else _unlike(entry, sound)


def _early(entry: ast.FunctionDef) -> str | None:
    body = entry.body[1:] if ast.get_docstring(entry) is not None else entry.body
    if not body or all(_is_empty(node) for node in body):
        return "empty"
    names = {node.id for node in ast.walk(entry) if isinstance(node, ast.Name)}
    return "empty" if "NotImplementedError" in names else None


def _is_empty(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign | ast.Return):
        value = node.value
        return value is None or isinstance(value, ast.Constant | ast.Name)
    return isinstance(node, ast.Pass) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def _returns_nothing(entry: ast.FunctionDef) -> bool:
    values = [node.value for node in ast.walk(entry) if isinstance(node, ast.Return)]
    yields = any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(entry))
    empty = all(value is None or ast.unparse(value) == "None" for value in values)
    return empty and not yields


def _normal(code: str, name: str) -> str:
    """Return the code without docstrings, types and its entry's name, for comparison."""
    tree = ast.parse(code)
    entry = find_function(tree, name)
    for kind in ("strip_types", "strip_docs"):
        MUTATIONS[kind](tree, entry, _QUIET)
    return re.sub(rf"\b{re.escape(name)}\b", "_", ast.unparse(tree))


@lru_cache(maxsize=1024)
def _sound(task: Task) -> str:
    return _normal(task.solution, task.name)


def _shape(entry: ast.FunctionDef) -> int:
    return sum(isinstance(node, ast.stmt) for node in ast.walk(entry))


def _unlike(entry: ast.FunctionDef, sound: ast.FunctionDef) -> str:
    """Tell a bare try around everything from an honest other way to do it."""
    wraps = any(
        isinstance(node, ast.ExceptHandler) and node.type is None for node in ast.walk(entry)
    )
    return "no guard" if wraps and guards(sound) else "different"
