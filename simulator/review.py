"""Reading a stranger's code against the plan, where it was not made from a sound solution."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from selfheal.simulator import inspection, suspicion
from selfheal.simulator.descent import derived, normal, same_but_for_names, sound
from selfheal.simulator.likeness import balance
from selfheal.simulator.plan import Plan
from selfheal.simulator.raising import demanded, raised
from selfheal.simulator.recital import by_heart
from selfheal.simulator.source import Entry, find_entry, guards_of, parameters_of
from selfheal.simulator.style import blemishes
from selfheal.simulator.tasks import Task

_SAYING = frozenset({"print", "debug", "info", "warning", "error", "log"})
_CLEAR = frozenset({"empty", "greeting", "no python", "no result", "sound"})
REMARKS = {
    "plausible": "I find nothing that is missing or wrong in it.",
    "lacking": "Steps that the job takes are absent, and nothing does their work in another way.",
    "idle": "A parameter has no say in what comes out.",
    "by heart": "It knows the results of the plan's calls by heart and works out nothing.",
}
_ALL_REMARKS = inspection.REMARKS | REMARKS


@dataclass(frozen=True)
class Review:
    """The verdict on the code, what its text is suspected of, how readable it is, and why."""

    verdict: str
    claims: bool
    orders: bool
    readability: float
    remarks: tuple[str, ...]


@lru_cache(maxsize=4096)
def review(code: str, name: str | None, task: Task | None, request: str, plan: Plan) -> Review:
    """Review code that was written for the request under the plan."""
    try:
        return _review(code, name, task, request, plan)
    except RecursionError:
        return Review("no python", False, False, 0.1, ("It is nested beyond reading.",))


def _review(code: str, name: str | None, task: Task | None, request: str, plan: Plan) -> Review:
    found = inspection.inspect(code, name, task)
    if found.verdict in {"empty", "greeting", "no python"}:
        return Review(found.verdict, False, False, 0.1, tuple(found.remarks))
    verdict = _verdict(code, name, task, request, plan, found.verdict)
    faults = blemishes(code, name)
    missing = 0.2 * (not found.documented) + 0.15 * (not found.typed)
    readability = max(0.95 - missing - sum(faults.values()), 0.1)
    remark, *style = found.remarks
    remarks = (_ALL_REMARKS.get(verdict, remark), *style, *faults)
    return Review(verdict, suspicion.claims(code), suspicion.orders(code), readability, remarks)


def _verdict(
    code: str, name: str | None, task: Task | None, request: str, plan: Plan, first: str
) -> str:
    tree = ast.parse(code)
    if first in _CLEAR or (first == "wrong name" and not _assigned(tree, name)):
        return first
    entry = _entry(tree, name)
    if task is not None and entry is not None:
        if same_but_for_names(tree, entry, task):
            return "sound"
        if _is_derived(code, entry, task):
            return "plausible" if _unasked_guard(tree, entry, task, request, plan, first) else first
    known = task if task is not None and task.name == name else None
    if by_heart(tree, plan):
        return "by heart"
    if not demanded(None if known and known.asks else known, request, plan) <= raised(tree):
        return "no guard"
    if entry is not None and _idle(entry):
        return "idle"
    lacking, new = balance(tree, ast.parse(known.solution)) if known else (0, 0)
    return "lacking" if lacking > new or lacking == new > 1 else "plausible"


def _unasked_guard(
    tree: ast.Module, entry: Entry, task: Task, request: str, plan: Plan, first: str
) -> bool:
    """Tell whether all that lacks is a guard that neither a short request nor its plan asks for."""
    if first != "no guard" or not task.asks or len(guards_of(entry)) >= len(task.guards):
        return False
    return demanded(None, request, plan) <= raised(tree)


def _is_derived(code: str, entry: Entry, task: Task) -> bool:
    return derived(normal(code, entry.name), sound(task))


def _entry(tree: ast.Module, name: str | None) -> Entry | None:
    try:
        return find_entry(tree, name or "")
    except LookupError:
        return None


def _assigned(tree: ast.Module, name: str | None) -> bool:
    """Tell whether the name is bound by an assignment, as that of a lambda is."""
    targets = [each for node in tree.body if isinstance(node, ast.Assign) for each in node.targets]
    return any(isinstance(each, ast.Name) and each.id == name for each in targets)


def _idle(entry: Entry) -> bool:
    """Tell whether a parameter of a function is used in guards and bare calls at most."""
    if not isinstance(entry, ast.FunctionDef):
        return False
    used = {node.id for part in _working(entry.body) for node in _reads(part)}
    return any(arg.arg not in used for arg in parameters_of(entry))


def _working(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the statements that lead to a result: no guards, nothing that is merely logged."""
    for node in body:
        if isinstance(node, ast.If) and all(isinstance(each, ast.Raise) for each in node.body):
            yield from (n for n in ast.walk(node.test) if isinstance(n, ast.NamedExpr))
            yield from _working(node.orelse)
        elif not (isinstance(node, ast.Expr) and _is_said(node.value)):
            yield node


def _is_said(node: ast.expr) -> bool:
    """Tell a call that only prints or logs."""
    if not isinstance(node, ast.Call):
        return False
    func = node.func
    return (func.attr if isinstance(func, ast.Attribute) else ast.unparse(func)) in _SAYING


def _reads(node: ast.AST) -> Iterator[ast.Name]:
    return (each for each in ast.walk(node) if isinstance(each, ast.Name))
