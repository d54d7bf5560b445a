"""What programs are made of, and how like two of them are in that."""

import ast
from collections.abc import Iterator

from selfheal.simulator.source import docstring_of

_PLAIN = (None, True, False, 0, 1, "", ...)
_LOOPS = (ast.For, ast.While, ast.comprehension)
_TOLD_APART = (ast.Slice, ast.Lambda, ast.IfExp, ast.Yield, ast.YieldFrom, ast.With)
# Different words for the same thing, as far as a reviewer cares; "" is glue that says nothing.
_SYNONYMS = (
    *(("Lt", "GtE"), ("LtE", "Gt"), ("Eq", "NotEq", "startswith", "endswith"), ("Is", "IsNot")),
    *(("In", "NotIn"), ("Mult", "Pow"), ("sorted", "sort"), ("range", "enumerate")),
    *(("fullmatch", "match"), ("isdigit", "isdecimal")),
    (
        "",
        "append",
        "extend",
        "add",
        "update",
        "list",
        "deque",
        "len",
        "str",
        "map",
        "Not",
        "USub",
        "UAdd",
    ),
)
_ALIKE = {name: same[0] for same in _SYNONYMS for name in same}


def balance(code: ast.Module, sound: ast.Module) -> tuple[int, int]:
    """Return how many of the sound code's ingredients are lacking, and how many are new."""
    has, wants = ingredients(code), ingredients(sound)
    return len(wants - has), len(has - wants)


def ingredients(tree: ast.Module) -> set[str]:
    """Return operators, comparisons, calls, literals and loops; messages and docs left out."""
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return {name for node in _told(tree) for name in _names(node)} - own - {""}


def _told(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the nodes that do something."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, ast.Raise | ast.Import | ast.ImportFrom):
            continue
        skipped = {id(part) for part in _undoing(node)}
        pending.extend(part for part in ast.iter_child_nodes(node) if id(part) not in skipped)


def _undoing(node: ast.AST) -> list[ast.AST]:
    """Return the parts of a node that say and do nothing: docstrings, annotations, bases."""
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
        yield _alike(type(node.op).__name__)
    elif isinstance(node, ast.Compare):
        yield from (_alike(type(op).__name__) for op in node.ops)
    elif isinstance(node, ast.Call):
        yield _alike(_called(node.func))
        yield from (f"{keyword.arg}=" for keyword in node.keywords if keyword.arg != "strict")
    elif isinstance(node, ast.Constant) and node.value not in _PLAIN:
        yield repr(node.value)
    elif isinstance(node, _LOOPS):
        yield "loop"
    elif isinstance(node, _TOLD_APART):
        yield _alike(type(node).__name__)


def _called(func: ast.expr) -> str:
    if isinstance(func, ast.Attribute):
        return func.attr
    return func.id if isinstance(func, ast.Name) else ""


def _alike(name: str) -> str:
    return _ALIKE.get(name, name)
