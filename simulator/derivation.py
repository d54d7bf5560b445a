"""Checks whether code was derived from a task's solution, perhaps with mistakes."""

import ast
import re
from difflib import SequenceMatcher
from functools import lru_cache

from selfheal.simulator.mutations import MUTATIONS
from selfheal.simulator.seeded_noise import Noise
from selfheal.simulator.source import Entry, docstring_of, find_entry
from selfheal.simulator.tasks import Task

_DERIVED = 0.95  # the least similarity of derived code, from 0 to 1
_PATCHES = frozenset({"try:", "except:", "return None", "pass"})
_FIXED = Noise("inspection")


def normalized(code: str, name: str) -> str:
    """Return code without docstrings, types and the entry point's name, for comparison."""
    tree = ast.parse(code)
    entry = find_entry(tree, name)
    for kind in ("strip_types", "strip_docs"):
        MUTATIONS[kind](tree, entry, _FIXED)
    return re.sub(rf"\b{re.escape(name)}\b", "_", ast.unparse(tree))


@lru_cache(maxsize=1024)
def sound_code(task: Task) -> str:
    """Return the task's solution in normalized form."""
    return normalized(task.solution, task.name)


def is_derived(code: str, sound_code: str) -> bool:
    """Tell whether code is the solution with lines removed or a small change; both normalized."""
    wanted = {line.strip() for line in sound_code.splitlines()} | _PATCHES
    if all(line.strip() in wanted for line in code.splitlines()[1:]):
        return True
    matcher = SequenceMatcher(None, code, sound_code, autojunk=False)
    return matcher.quick_ratio() >= _DERIVED and matcher.ratio() >= _DERIVED


def same_but_for_names(tree: ast.Module, entry: Entry, task: Task) -> bool:
    """Tell whether an entry is the solution with other names, docstrings, types and messages."""
    if any(_has_effect(node) for node in (*tree.body, *ast.parse(task.solution).body)):
        return False
    if _lacks_import(tree, ast.parse(task.solution)):
        return False
    return _anonymised(entry) == _anonymised(task.entry)


def _lacks_import(tree: ast.Module, solution: ast.Module) -> bool:
    """Tell whether code uses a name that only the solution imports."""
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return bool((_imported(solution) - _imported(tree)) & used)


def _imported(tree: ast.Module) -> set[str]:
    """Return the names that a program's imports bind."""
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))
    return {(each.asname or each.name).split(".")[0] for node in imports for each in node.names}


def _has_effect(node: ast.stmt) -> bool:
    """Tell whether a statement beside the entry could change results."""
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
        return ast.unparse(node.value.func) != "TypeVar"
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return not (is_docstring or isinstance(node, Entry | ast.Import | ast.ImportFrom))


def _anonymised(entry: Entry) -> str:
    """Return the entry's tree with its local names numbered, without docstrings and types."""
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
