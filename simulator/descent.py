"""Whether code was made from a task's sound solution, perhaps badly."""

import ast
import re
from difflib import SequenceMatcher
from functools import lru_cache

from selfheal.simulator.mutations import MUTATIONS
from selfheal.simulator.noise import Noise
from selfheal.simulator.source import Entry, docstring_of, find_entry
from selfheal.simulator.tasks import Task

# So like the sound solution that it must have been made from it.
_DERIVED = 0.95
_PATCHES = frozenset({"try:", "except:", "return None", "pass"})
_QUIET = Noise("inspection")


def normal(code: str, name: str) -> str:
    """Return the code without docstrings, types and its entry's name, for comparison."""
    tree = ast.parse(code)
    entry = find_entry(tree, name)
    for kind in ("strip_types", "strip_docs"):
        MUTATIONS[kind](tree, entry, _QUIET)
    return re.sub(rf"\b{re.escape(name)}\b", "_", ast.unparse(tree))


@lru_cache(maxsize=1024)
def sound(task: Task) -> str:
    """Return the task's solution as `normal` has it."""
    return normal(task.solution, task.name)


def derived(code: str, sound: str) -> bool:
    """Tell whether code is the sound code with something taken out or one thing changed."""
    wanted = {line.strip() for line in sound.splitlines()} | _PATCHES
    if all(line.strip() in wanted for line in code.splitlines()[1:]):
        return True
    matcher = SequenceMatcher(None, code, sound, autojunk=False)
    return matcher.quick_ratio() >= _DERIVED and matcher.ratio() >= _DERIVED


def same_but_for_names(tree: ast.Module, entry: Entry, task: Task) -> bool:
    """Tell whether the entry is the sound one with other names, docs, types and messages."""
    if any(_matters(node) for node in (*tree.body, *ast.parse(task.solution).body)):
        return False
    return _bare(entry) == _bare(task.entry)


def _matters(node: ast.stmt) -> bool:
    """Tell whether a statement next to the entry could make a difference."""
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
        return ast.unparse(node.value.func) != "TypeVar"
    documents = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return not (documents or isinstance(node, Entry | ast.Import | ast.ImportFrom))


def _bare(entry: Entry) -> str:
    """Return the entry's tree with its own names numbered, and without what only informs."""
    tree = ast.parse(ast.unparse(entry))
    numbers: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            node.body = node.body[len(docstring_of(node)) :] or [ast.Pass()]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
            node.arg = numbers.setdefault(node.arg, f"_{len(numbers)}")
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            numbers.setdefault(node.id, f"_{len(numbers)}")
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            node.exc.args = []
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = numbers.get(node.id, node.id)
    return ast.dump(tree.body[0]).replace(repr(entry.name), "''")
