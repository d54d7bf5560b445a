"""Readability issues of code: poor names, dense lines, deep nesting, needless classes."""

import ast
from collections.abc import Iterator

from selfheal.simulator.source import tokens

_SHORT = frozenset("ijkxyn_")
_NESTING = (ast.If, ast.For, ast.While, ast.Try, ast.With)
_TOO_DEEP = 5
_TOO_LONG = 140
_TOO_MANY_CLASSES = 3
_CHAIN = 12


def readability_issues(code: str, entry: str | None) -> dict[str, float]:
    """Return the readability issues of code as sentences, each with its deduction, 0 to 1."""
    tree = ast.parse(code)
    deductions = {
        "Names of a letter or two say nothing.": 0.35 * _cryptic(tree),
        "Too much happens on one line.": 0.25 * _dense(code, tree),
        "It is nested too deeply.": 0.3 * (_depth(tree) > _TOO_DEEP),
        "It is a long chain of branches.": 0.2 * (_branches(tree) > _CHAIN),
        "It has far more classes than the task is worth.": 0.5 * _over_built(tree, entry),
    }
    return {issue: deduction for issue, deduction in deductions.items() if deduction}


def _cryptic(tree: ast.Module) -> bool:
    """Tell whether most names that are bound are too short."""
    names = set(_bound(tree)) - {"self", "cls"}
    poor = {name for name in names if len(name) <= 2 and name not in _SHORT}
    return len(poor) >= 2 and len(poor) * 2 > len(names)


def _bound(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname


def _dense(code: str, tree: ast.Module) -> bool:
    """Tell whether lines are too long or hold several statements."""
    lines = [line for line in code.splitlines() if len(line) > _TOO_LONG]
    crowded = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If | ast.For | ast.While | ast.FunctionDef)
        and node.body[0].lineno == node.lineno
    ]
    semicolons = any(token.string == ";" for token in tokens(code))
    return bool(lines or crowded or semicolons)


def _depth(tree: ast.Module) -> int:
    deepest = 0
    pending: list[tuple[ast.AST, int]] = [(tree, 0)]
    while pending:
        node, depth = pending.pop()
        deepest = max(deepest, depth)
        below = depth + isinstance(node, _NESTING)
        pending.extend((child, below) for child in ast.iter_child_nodes(node))
    return deepest


def _branches(tree: ast.Module) -> int:
    return max(
        (
            sum(isinstance(node, ast.If) for node in ast.walk(function))
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef)
        ),
        default=0,
    )


def _over_built(tree: ast.Module, entry: str | None) -> bool:
    """Tell whether there are several classes besides the entry point."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name != entry]
    return len(classes) >= _TOO_MANY_CLASSES
