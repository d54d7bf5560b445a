"""The exceptions that code is required to raise, and those that it can raise."""

import ast
import re

from selfheal.simulator.plan import Plan
from selfheal.simulator.tasks import Task

_ERROR = re.compile(r"\b[A-Z]\w*Error\b")
# Calls and operations that raise an exception without a `raise` statement.
_IMPLICIT = {
    "ValueError": ("int", "float", "fromisoformat", "strptime", "index", "remove", "fromhex"),
    "ZeroDivisionError": ("Div", "FloorDiv", "Mod", "divmod", "truediv", "floordiv", "mod"),
    "KeyError": ("Subscript", "pop", "remove"),
    "IndexError": ("Subscript", "pop", "popleft"),
    "LookupError": ("Subscript", "pop"),
    "TypeError": (),
}


def required_exceptions(task: Task | None, request: str, plan: Plan) -> set[str]:
    """Return the exceptions that the solution raises; without a task, those that are named."""
    if task is None:
        return set(_ERROR.findall(" ".join((request, *plan.requirements))))
    thrown = (node.exc for node in ast.walk(task.entry) if isinstance(node, ast.Raise))
    return {match[0] for exc in thrown if exc and (match := _ERROR.search(ast.unparse(exc)))}


def possible_exceptions(tree: ast.Module) -> set[str]:
    """Return the exceptions that code can raise, by itself or through what it calls."""
    caught = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and node.type
        for part in ast.walk(node.type)
    }
    nodes = [node for node in ast.walk(tree) if id(node) not in caught]
    named = {node.id for node in nodes if isinstance(node, ast.Name)}
    used = {name for node in nodes if isinstance(node, ast.Call) for name in _used(node)}
    used |= {type(getattr(node, "op", node)).__name__ for node in nodes}
    used |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    implied = {error for error, causes in _IMPLICIT.items() if used.intersection(causes)}
    return {name for name in named if _ERROR.fullmatch(name)} | implied


def _used(call: ast.Call) -> set[str]:
    """Return the names of the function of a call and of its arguments."""
    return {node.id for node in (call.func, *call.args) if isinstance(node, ast.Name)}
