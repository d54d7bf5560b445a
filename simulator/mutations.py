"""Mutations of correct code, as transforms of its syntax tree: the mistakes of a badly led model.

A mutation that finds nothing to change leaves the code as it is.
"""

import ast
import copy
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
    parameters_of,
)

Transform = Callable[[ast.Module, Entry, Noise], None]
# The parameter that a plan adds, and the one into which a plan bundles all.
ADDED_PARAMETER = "context"
BUNDLE = "options"
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


def _add_parameter(_: ast.Module, entry: Entry, _noise: Noise) -> None:
    function = invoked_function(entry)
    if function is not None:
        function.args.args.insert(int(isinstance(entry, ast.ClassDef)), ast.arg(ADDED_PARAMETER))


def _bundle(_: ast.Module, entry: Entry, _noise: Noise) -> None:
    """Replace the parameters by one dictionary, from which they are read."""
    function = invoked_function(entry)
    if function is None:
        return
    own = parameters_of(entry)
    defaults = [ast.unparse(value) for value in function.args.defaults]
    given = [None] * (len(own) - len(defaults)) + defaults[-len(own) :]
    read = [
        f"{arg.arg} = {BUNDLE}[{arg.arg!r}]"
        if default is None
        else f"{arg.arg} = {BUNDLE}.get({arg.arg!r}, {default})"
        for arg, default in zip(own, given, strict=True)
    ]
    function.args.args = [*function.args.args[: -len(own)], ast.arg(BUNDLE, ast.Name("dict"))]
    function.args.defaults = []
    docs = docstring_of(function)
    function.body = [*docs, *ast.parse("\n".join(read)).body, *function.body[len(docs) :]]


def _service_class(tree: ast.Module, entry: Entry, _noise: Noise) -> None:
    """Make a function the method `execute` of a class with the function's name."""
    if isinstance(entry, ast.FunctionDef):
        method = copy.deepcopy(entry)
        method.name = "execute"
        method.args.args.insert(0, ast.arg("self"))
        docs = docstring_of(entry)
        made = ast.parse(f"class {entry.name}:\n    pass").body[0]
        made.body = [*docs, method]  # type: ignore[attr-defined]
        tree.body[tree.body.index(entry)] = made


class _Answering(ast.NodeTransformer):
    """Replaces every exception that is raised by a result that stands for it."""

    def __init__(self, result: str) -> None:
        self._result = result

    def visit_Raise(self, _: ast.Raise) -> ast.stmt:
        """Return the result."""
        return ast.parse(self._result).body[0]


def _error_codes(_: ast.Module, entry: Entry, _noise: Noise) -> None:
    for function in functions_of(entry):
        _Answering("return -1").visit(function)


def _wrapped_returns(entry: Entry, template: str) -> None:
    """Put the value of every return into a template, at `VALUE`."""
    for node in ast.walk(entry):
        if isinstance(node, ast.Return) and node.value is not None:
            text = template.replace("VALUE", ast.unparse(node.value))
            node.value = ast.parse(text, mode="eval").body


def _envelope(_: ast.Module, entry: Entry, _noise: Noise) -> None:
    _wrapped_returns(entry, "{'status': 'ok', 'data': VALUE}")
    for function in functions_of(entry):
        _Answering("return {'status': 'error', 'data': None}").visit(function)


def _strings(_: ast.Module, entry: Entry, _noise: Noise) -> None:
    _wrapped_returns(entry, "str(VALUE)")


def _generators(_: ast.Module, entry: Entry, _noise: Noise) -> None:
    """Return an iterator where a list is returned."""
    for function in functions_of(entry):
        if function.returns is None or not ast.unparse(function.returns).startswith("list"):
            continue
        function.returns = ast.parse(
            ast.unparse(function.returns).replace("list", "Iterator", 1), mode="eval"
        ).body
        for node in ast.walk(function):
            if isinstance(node, ast.Return) and node.value is not None:
                node.value = ast.Call(ast.Name("iter"), [node.value], [])


def _no_imports(tree: ast.Module, _entry: Entry, _noise: Noise) -> None:
    tree.body = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)]


def _coroutines(tree: ast.Module, entry: Entry, _noise: Noise) -> None:
    """Make functions and public methods coroutines."""
    for function in functions_of(entry):
        if function.name.startswith("_"):
            continue
        fields = {name: getattr(function, name) for name in function._fields}
        made = ast.AsyncFunctionDef(**fields)
        block = tree.body if function is entry else entry.body
        block[block.index(function)] = made


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
    "add_parameter": _add_parameter,
    "bundle": _bundle,
    "service_class": _service_class,
    "error_codes": _error_codes,
    "envelope": _envelope,
    "strings": _strings,
    "generators": _generators,
    "no_imports": _no_imports,
    "coroutines": _coroutines,
}
