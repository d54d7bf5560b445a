"""Compares programs by their ingredients: operators, comparisons, calls, literals, loops."""

import ast
from collections.abc import Iterator

from selfheal.simulator.source import docstring_of

_PLAIN = (None, True, False, 0, 1, "", ...)
_LOOPS = (ast.For, ast.While, ast.comprehension)
_DISTINCT_NODES = (ast.Slice, ast.Lambda, ast.IfExp, ast.Yield, ast.YieldFrom, ast.With)
# Names that count as one ingredient; those with "" are ignored.
_SYNONYMS = (
    *(("Lt", "GtE"), ("LtE", "Gt"), ("Eq", "NotEq", "startswith", "endswith"), ("Is", "IsNot")),
    *(("In", "NotIn"), ("Mult", "Pow"), ("sorted", "sort"), ("range", "enumerate")),
    *(("fullmatch", "match"), ("isdigit", "isdecimal")),
    ("", "append", "extend", "add", "update", "list", "deque", "len", "str", "map"),
    ("", "Not", "USub", "UAdd"),
)
_CANONICAL = {name: same[0] for same in _SYNONYMS for name in same}


def ingredient_difference(code: ast.Module, solution: ast.Module) -> tuple[int, int]:
    """Return how many ingredients of the solution are missing in code, and how many are new."""
    has, wants = ingredients(code), ingredients(solution)
    return len(wants - has), len(has - wants)


def ingredients(tree: ast.Module) -> set[str]:
    """Return the ingredients of a program, without those of messages and docstrings."""
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return {name for node in _significant_nodes(tree) for name in _names(node)} - own - {""}


def _significant_nodes(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the nodes that have an effect."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, ast.Raise | ast.Import | ast.ImportFrom):
            continue
        skipped = {id(part) for part in _inert_parts(node)}
        pending.extend(part for part in ast.iter_child_nodes(node) if id(part) not in skipped)


def _inert_parts(node: ast.AST) -> list[ast.AST]:
    """Return the parts of a node without effect: docstrings, annotations, bases."""
    if isinstance(node, ast.FunctionDef):
        return [*docstring_of(node), *([node.returns] if node.returns else [])]
    if isinstance(node, ast.ClassDef):
        return [*docstring_of(node), *node.bases, *node.decorator_list]
    if isinstance(node, ast.AnnAssign):
        return [node.annotation]
    if isinstance(node, ast.arg) and node.annotation:
        return [node.annotation]
    return list(docstring_of(node)) if isinstance(node, ast.Module) else []


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.UnaryOp):
        yield _canonical(type(node.op).__name__)
    elif isinstance(node, ast.Compare):
        yield from (_canonical(type(op).__name__) for op in node.ops)
    elif isinstance(node, ast.Call):
        yield _canonical(_called(node.func))
        yield from (f"{keyword.arg}=" for keyword in node.keywords if keyword.arg != "strict")
    elif isinstance(node, ast.Constant) and node.value not in _PLAIN:
        yield repr(node.value)
    elif isinstance(node, _LOOPS):
        yield "loop"
    elif isinstance(node, _DISTINCT_NODES):
        yield _canonical(type(node).__name__)


def _called(func: ast.expr) -> str:
    if isinstance(func, ast.Attribute):
        return func.attr
    return func.id if isinstance(func, ast.Name) else ""


def _canonical(name: str) -> str:
    return _CANONICAL.get(name, name)
