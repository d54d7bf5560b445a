"""Code that recites the results of examples instead of working them out."""

import ast
from collections.abc import Iterator

from selfheal.simulator.plan import Plan
from selfheal.simulator.source import docstring_of


def by_heart(tree: ast.Module, plan: Plan) -> bool:
    """Tell whether the code holds both the argument and the result of one of the plan's calls."""
    known = set(_literals(tree))
    return any(
        _telling(result) and _folded(result) in known and any(a in known for a in _arguments(call))
        for call, result in zip(plan.calls, map(_value, plan.results), strict=True)
    )


def _literals(tree: ast.Module) -> Iterator[str]:
    docs = {
        id(docstring.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module)
        for docstring in docstring_of(node)
        if isinstance(docstring, ast.Expr)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant | ast.Tuple | ast.List | ast.Dict)
            and id(node) not in docs
        ):
            yield _folded(_literal(node))


def _arguments(call: str) -> Iterator[str]:
    """Yield the telling arguments of a call, and all of them together."""
    try:
        tree = ast.parse(call.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return
    if isinstance(tree, ast.Call):
        values = [_literal(node) for node in tree.args]
        if len(values) > 1:
            yield _folded(tuple(values))
        yield from (_folded(value) for value in values if _telling(value))


def _value(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return None


def _literal(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, MemoryError, RecursionError):
        return None


def _telling(value: object) -> bool:
    """Tell whether a value is not one that stands in any program by chance."""
    if isinstance(value, bool):
        return False
    if isinstance(value, int | float):
        return abs(value) >= 100
    return isinstance(value, str | list | tuple | dict) and len(value) >= 3


def _folded(value: object) -> str:
    return repr(value).lower()
