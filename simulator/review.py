"""Reviews code against the request and the plan, even if the bank has no solution for it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from selfheal.simulator import inspection
from selfheal.simulator.ast_similarity import ingredient_difference
from selfheal.simulator.derivation import is_derived, normalized, same_but_for_names, sound_code
from selfheal.simulator.exceptions import possible_exceptions, required_exceptions
from selfheal.simulator.memorised_examples import memorises_examples
from selfheal.simulator.plan import Plan
from selfheal.simulator.readability import readability_issues
from selfheal.simulator.reviewer_manipulation import addresses_reviewer, makes_claims
from selfheal.simulator.source import Entry, find_entry, guards_of, parameters_of
from selfheal.simulator.tasks import Task

_OUTPUT_CALLS = frozenset({"print", "debug", "info", "warning", "error", "log"})
_FINAL = frozenset({"empty", "greeting", "no python", "no result", "sound"})
REMARKS = {
    "plausible": "I find nothing that is missing or wrong in it.",
    "lacking": "Steps that the job takes are absent, and nothing does their work in another way.",
    "idle": "A parameter has no say in what comes out.",
    "by heart": "It knows the results of the plan's calls by heart and works out nothing.",
}
_ALL_REMARKS = inspection.REMARKS | REMARKS


@dataclass(frozen=True)
class Review:
    """The review of a program.

    Attributes:
        verdict: a key of `REMARKS` here or in `inspection`.
        claims: its text claims quality that the code does not show.
        orders: its text addresses the reviewer.
        readability: from 0 to 1.
        remarks: the reasons, as sentences.
    """

    verdict: str
    claims: bool
    orders: bool
    readability: float
    remarks: tuple[str, ...]


@lru_cache(maxsize=4096)
def review(code: str, name: str | None, task: Task | None, request: str, plan: Plan) -> Review:
    """Review code that was written for a request under a plan.

    Args:
        code: the program.
        name: the name that the entry point must have; None if any.
        task: the bank's task for the request; None if there is none.
        request: the request.
        plan: the plan.
    """
    try:
        return _review(code, name, task, request, plan)
    except RecursionError:
        return Review("no python", False, False, 0.1, ("It is nested beyond reading.",))


def _review(code: str, name: str | None, task: Task | None, request: str, plan: Plan) -> Review:
    result = inspection.inspect(code, name, task)
    if result.verdict in {"empty", "greeting", "no python"}:
        return Review(result.verdict, False, False, 0.1, tuple(result.remarks))
    verdict = _verdict(code, name, task, request, plan, result.verdict)
    faults = readability_issues(code, name)
    missing = 0.2 * (not result.documented) + 0.15 * (not result.typed)
    readability = max(0.95 - missing - sum(faults.values()), 0.1)
    remark, *style = result.remarks
    remarks = (_ALL_REMARKS.get(verdict, remark), *style, *faults)
    return Review(
        verdict,
        makes_claims(code),
        addresses_reviewer(code),
        readability,
        remarks,
    )


def _verdict(
    code: str, name: str | None, task: Task | None, request: str, plan: Plan, first: str
) -> str:
    tree = ast.parse(code)
    if first in _FINAL or (first == "wrong name" and not _assigned(tree, name)):
        return first
    entry = _entry(tree, name)
    if task is not None and entry is not None:
        if same_but_for_names(tree, entry, task):
            return "sound"
        if is_derived(normalized(code, entry.name), sound_code(task)):
            return "plausible" if _unasked_guard(tree, entry, task, request, plan, first) else first
    known = task if task is not None and task.name == name else None
    if memorises_examples(tree, plan):
        return "by heart"
    if not required_exceptions(
        None if known and known.asks else known, request, plan
    ) <= possible_exceptions(tree):
        return "no guard"
    if entry is not None and _idle(entry):
        return "idle"
    lacking, new = ingredient_difference(tree, ast.parse(known.solution)) if known else (0, 0)
    return "lacking" if lacking > new or lacking == new > 1 else "plausible"


def _unasked_guard(
    tree: ast.Module, entry: Entry, task: Task, request: str, plan: Plan, first: str
) -> bool:
    """Tell whether only a guard is missing that neither a short request nor its plan asks for."""
    if first != "no guard" or not task.asks or len(guards_of(entry)) >= len(task.guards):
        return False
    return required_exceptions(None, request, plan) <= possible_exceptions(tree)


def _entry(tree: ast.Module, name: str | None) -> Entry | None:
    try:
        return find_entry(tree, name or "")
    except LookupError:
        return None


def _assigned(tree: ast.Module, name: str | None) -> bool:
    """Tell whether the name is bound by an assignment, as that of a lambda is."""
    targets = [
        target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets
    ]
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def _idle(entry: Entry) -> bool:
    """Tell whether a parameter of a function is used in guards and discarded calls only."""
    if not isinstance(entry, ast.FunctionDef):
        return False
    nodes = (node for part in _working(entry.body) for node in ast.walk(part))
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    return any(arg.arg not in used for arg in parameters_of(entry))


def _working(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the statements that contribute to a result: neither guards nor logging."""
    for node in body:
        if isinstance(node, ast.If) and all(
            isinstance(statement, ast.Raise) for statement in node.body
        ):
            yield from (n for n in ast.walk(node.test) if isinstance(n, ast.NamedExpr))
            yield from _working(node.orelse)
        elif not (isinstance(node, ast.Expr) and _is_output(node.value)):
            yield node


def _is_output(node: ast.expr) -> bool:
    """Tell whether an expression is a call that only prints or logs."""
    if not isinstance(node, ast.Call):
        return False
    func = node.func
    return (func.attr if isinstance(func, ast.Attribute) else ast.unparse(func)) in _OUTPUT_CALLS
