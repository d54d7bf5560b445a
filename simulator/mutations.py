"""Mutations of correct code, as transforms of its syntax tree: the mistakes of a badly led model.

A mutation that finds nothing to change leaves the code as it is.
"""

import ast
from collections.abc import Callable

from selfheal.simulator.operator_mutations import shift_bound
from selfheal.simulator.seeded_noise import Noise
from selfheal.simulator.source import (
    Entry,
    docstring_of,
    find_entry,
    functions_of,
    guards_of,
    invoked_function,
)

Transform = Callable[[ast.Module, Entry, Noise], None]
_STUBS = ("pass", "raise NotImplementedError", "...", "result = None\nreturn result")


def mutate(kind: str, source: str, entry: str, noise: Noise) -> str:
    """Return mutated source.

    Args:
        kind: a key of `MUTATIONS`.
        source: the source of a program.
        entry: the name of its entry point.
        noise: selects among possible changes.

    Raises:
        KeyError: there is no such kind.
    """
    tree = ast.parse(source)
    MUTATIONS[kind](tree, find_entry(tree, entry), noise)
    return ast.unparse(ast.fix_missing_locations(tree))


def rename(source: str, old: str, new: str) -> str:
    """Return the source with a function renamed in its definition and all uses."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, Entry) and node.name == old:
            node.name = new
        elif isinstance(node, ast.Name) and node.id == old:
            node.id = new
    return ast.unparse(tree)


def _placeholder(_: ast.Module, entry: Entry, noise: Noise) -> None:
    stub = noise.pick(_STUBS, "stub")
    for function in functions_of(entry):
        if function.name != "__init__":
            function.body = [*docstring_of(function), *ast.parse(stub).body]


def _drop_guard(tree: ast.Module, entry: Entry, _: Noise) -> None:
    guards = guards_of(entry)
    raising = [node for node in guards if isinstance(node.body[0], ast.Raise)]
    for node in (raising or guards)[:1]:
        _remove(tree, node)


def _drop_all_guards(tree: ast.Module, entry: Entry, _: Noise) -> None:
    for node in guards_of(entry):
        _remove(tree, node)


def _remove(tree: ast.Module, statement: ast.stmt) -> None:
    for parent in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(parent, field, None)
            if isinstance(block, list) and statement in block:
                block.remove(statement)
                if not block and field == "body":
                    block.append(ast.Pass())


def _strip_types(tree: ast.Module, _entry: Entry, _: Noise) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None


def _strip_docs(tree: ast.Module, _entry: Entry, _: Noise) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and docstring_of(node):
            node.body = node.body[1:] or [ast.Pass()]


def _skeleton(tree: ast.Module, _entry: Entry, _: Noise) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body = [*docstring_of(node), ast.Expr(ast.Constant(...))]


def _shorten(tree: ast.Module, entry: Entry, noise: Noise) -> None:
    for transform in (_drop_all_guards, _strip_types, _strip_docs):
        transform(tree, entry, noise)


class _Printing(ast.NodeTransformer):
    """Replaces every return of a value by printing it."""

    def visit_Return(self, node: ast.Return) -> list[ast.stmt]:
        """Print the value and return None."""
        value = node.value or ast.Constant(None)
        return [ast.Expr(ast.Call(ast.Name("print"), [value], [])), ast.Return()]


def _print_result(_: ast.Module, entry: Entry, _noise: Noise) -> None:
    for function in functions_of(entry):
        _Printing().visit(function)


def _return_none(_: ast.Module, entry: Entry, _noise: Noise) -> None:
    for node in ast.walk(entry):
        if isinstance(node, ast.Return):
            node.value = ast.Constant(None)


def _swallow(_: ast.Module, entry: Entry, _noise: Noise) -> None:
    for function in functions_of(entry):
        docs = docstring_of(function)
        handler = ast.ExceptHandler(None, None, [ast.Return(ast.Constant(None))])
        tried = function.body[len(docs) :]
        function.body = [*docs, ast.Try(tried, [handler], [], [])]


def _drop_parameter(_: ast.Module, entry: Entry, _noise: Noise) -> None:
    function = invoked_function(entry)
    if function is None or len(function.args.args) <= isinstance(entry, ast.ClassDef):
        return
    removed = function.args.args.pop()
    default = function.args.defaults.pop() if function.args.defaults else ast.Constant(None)
    docs = docstring_of(function)
    local = ast.Assign([ast.Name(removed.arg)], default)
    function.body = [*docs, local, *function.body[len(docs) :]]


MUTATIONS: dict[str, Transform] = {
    "placeholder": _placeholder,
    "drop_guard": _drop_guard,
    "drop_all_guards": _drop_all_guards,
    "shift_bound": shift_bound,
    "strip_types": _strip_types,
    "strip_docs": _strip_docs,
    "skeleton": _skeleton,
    "shorten": _shorten,
    "print_result": _print_result,
    "return_none": _return_none,
    "swallow": _swallow,
    "drop_parameter": _drop_parameter,
}
