"""Damage to sound code, as transforms of its syntax tree: what a badly led model would write.

Each takes the source and the entry point's name and returns new source; where it finds nothing to
damage, it returns the code as it was.
"""

import ast
import copy
from collections.abc import Callable

from simulator.bank import find_function
from simulator.noise import Noise

Transform = Callable[[ast.Module, ast.FunctionDef, Noise], None]
_FLIPS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_SWAPS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mod,
    ast.Mod: ast.FloorDiv,
    ast.Div: ast.FloorDiv,
}
_TWINS = {"min": "max", "max": "min", "any": "all", "all": "any"}


def mutate(kind: str, source: str, entry: str, noise: Noise) -> str:
    """Return the source with that kind of damage. Raises KeyError for an unknown kind."""
    tree = ast.parse(source)
    MUTATIONS[kind](tree, find_function(tree, entry), noise)
    return ast.unparse(ast.fix_missing_locations(tree))


def rename(source: str, old: str, new: str) -> str:
    """Return the source with one function renamed wherever it is named."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == old:
            node.name = new
        elif isinstance(node, ast.Name) and node.id == old:
            node.id = new
    return ast.unparse(tree)


def guards(function: ast.FunctionDef) -> list[ast.If]:
    """Return the function's guards: `if`s that do nothing but raise or return."""
    return [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.If)
        and not node.orelse
        and isinstance(node.body[-1], ast.Raise | ast.Return)
        and len(node.body) == 1
    ]


def _placeholder(_: ast.Module, entry: ast.FunctionDef, noise: Noise) -> None:
    stub = noise.pick(("pass", "raise NotImplementedError", "...", "return None"), "stub")
    entry.body = [*_docstring(entry), *ast.parse(stub).body]
    if stub == "return None":
        entry.body = [*_docstring(entry), *ast.parse("result = None\nreturn result").body]


def _drop_guard(tree: ast.Module, entry: ast.FunctionDef, _: Noise) -> None:
    found = guards(entry)
    raising = [node for node in found if isinstance(node.body[0], ast.Raise)]
    for node in (raising or found)[:1]:
        _remove(tree, node)


def _drop_all_guards(tree: ast.Module, entry: ast.FunctionDef, _: Noise) -> None:
    for node in guards(entry):
        _remove(tree, node)


def _remove(tree: ast.Module, gone: ast.stmt) -> None:
    for parent in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(parent, field, None)
            if isinstance(block, list) and gone in block:
                block.remove(gone)
                if not block and field == "body":
                    block.append(ast.Pass())


def _shift_bound(_: ast.Module, entry: ast.FunctionDef, noise: Noise) -> None:
    """Change one comparison, constant or operator outside guards and `while` conditions."""
    spared = {id(node) for kept in _spared(entry) for node in ast.walk(kept)}
    sites = [
        (weight, change)
        for node in ast.walk(entry)
        if id(node) not in spared
        for weight, change in _changes(node)
    ]
    if not sites:
        sites = [
            (1, change)
            for guard in guards(entry)
            for n in ast.walk(guard)
            for _w, change in _changes(n)
        ]
    heavy = [change for weight, change in sites if weight == max(w for w, _ in sites)]
    if heavy:
        noise.pick(heavy, "site")()


def _spared(entry: ast.FunctionDef) -> list[ast.AST]:
    """Return what a slip must leave alone: a loop that never ends helps nobody."""
    kept: list[ast.AST] = [*_docstring(entry), *guards(entry), entry.args, *entry.decorator_list]
    kept += [entry.returns] if entry.returns else []
    for node in ast.walk(entry):
        if isinstance(node, ast.While):
            kept += [node.test, *(n for n in ast.walk(node) if isinstance(n, ast.AugAssign))]
        elif isinstance(node, ast.AnnAssign):
            kept.append(node.annotation)
        elif isinstance(node, ast.Raise):
            kept.append(node)
    return kept


def _changes(node: ast.AST) -> list[tuple[int, Callable[[], None]]]:
    """Return the ways to get this node wrong, each with how surely it shows."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _FLIPS:
        wrong = _FLIPS[type(node.ops[0])]()
        return [(2, lambda: node.ops.__setitem__(0, wrong))]
    if isinstance(node, ast.BinOp) and type(node.op) in _SWAPS:
        swapped = _SWAPS[type(node.op)]()
        return [(2, lambda: setattr(node, "op", swapped))]
    if isinstance(node, ast.Call):
        return _call_changes(node)
    if isinstance(node, ast.Return) and node.value is not None:
        return [(1, lambda: _wrong_return(node))]
    return []


def _call_changes(node: ast.Call) -> list[tuple[int, Callable[[], None]]]:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name == "range" and len(node.args) <= 2:
        last = node.args[-1]
        less = ast.BinOp(last, ast.Sub(), ast.Constant(1))
        return [(3, lambda: node.args.__setitem__(-1, less))]
    if name in _TWINS:
        return [(3, lambda: setattr(node, "func", ast.Name(_TWINS[name])))]
    if name == "sorted":
        wrong = ast.keyword(
            "reverse", ast.Constant(not any(k.arg == "reverse" for k in node.keywords))
        )
        kept = [keyword for keyword in node.keywords if keyword.arg != "reverse"]
        return [(3, lambda: setattr(node, "keywords", [*kept, wrong]))]
    return []


def _wrong_return(node: ast.Return) -> None:
    value = node.value
    if isinstance(value, ast.Constant) and isinstance(value.value, bool):
        node.value = ast.Constant(not value.value)
    elif value is not None:
        node.value = ast.BoolOp(ast.And(), [value, ast.Constant(None)])


def _strip_types(tree: ast.Module, _entry: ast.FunctionDef, _: Noise) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None


def _strip_docs(tree: ast.Module, _entry: ast.FunctionDef, _: Noise) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and _docstring(node):
            node.body = node.body[1:] or [ast.Pass()]


def _docstring(node: ast.FunctionDef | ast.ClassDef | ast.Module) -> list[ast.stmt]:
    return node.body[:1] if ast.get_docstring(node, clean=False) is not None else []


def _skeleton(tree: ast.Module, _entry: ast.FunctionDef, _: Noise) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body = [*_docstring(node), ast.Expr(ast.Constant(...))]


def _shorten(tree: ast.Module, entry: ast.FunctionDef, noise: Noise) -> None:
    for transform in (_drop_all_guards, _strip_types, _strip_docs):
        transform(tree, entry, noise)


def _print_result(_: ast.Module, entry: ast.FunctionDef, _noise: Noise) -> None:
    class Printing(ast.NodeTransformer):
        def visit_Return(self, node: ast.Return) -> list[ast.stmt]:
            value = node.value or ast.Constant(None)
            shown = ast.Expr(ast.Call(ast.Name("print"), [value], []))
            return [shown, ast.Return()]

        def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
            return self.generic_visit(node) if node is entry else node

    Printing().visit(entry)


def _return_none(_: ast.Module, entry: ast.FunctionDef, _noise: Noise) -> None:
    for node in ast.walk(entry):
        if isinstance(node, ast.Return):
            node.value = ast.Constant(None)


def _swallow(_: ast.Module, entry: ast.FunctionDef, _noise: Noise) -> None:
    docs = _docstring(entry)
    handler = ast.ExceptHandler(None, None, [ast.Return(ast.Constant(None))])
    tried = copy.copy(entry.body[len(docs) :])
    entry.body = [*docs, ast.Try(tried, [handler], [], [])]


def _drop_parameter(_: ast.Module, entry: ast.FunctionDef, _noise: Noise) -> None:
    arguments = entry.args
    if not arguments.args:
        return
    gone = arguments.args.pop()
    default = arguments.defaults.pop() if arguments.defaults else ast.Constant(None)
    docs = _docstring(entry)
    local = ast.Assign([ast.Name(gone.arg)], default)
    entry.body = [*docs, local, *entry.body[len(docs) :]]


MUTATIONS: dict[str, Transform] = {
    "placeholder": _placeholder,
    "drop_guard": _drop_guard,
    "drop_all_guards": _drop_all_guards,
    "shift_bound": _shift_bound,
    "strip_types": _strip_types,
    "strip_docs": _strip_docs,
    "skeleton": _skeleton,
    "shorten": _shorten,
    "print_result": _print_result,
    "return_none": _return_none,
    "swallow": _swallow,
    "drop_parameter": _drop_parameter,
}
