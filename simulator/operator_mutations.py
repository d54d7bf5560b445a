"""The mutation of one comparison, operator or bound, like a mistake made in a hurry."""

import ast
from collections.abc import Callable

from selfheal.simulator.seeded_noise import Noise
from selfheal.simulator.source import Entry, docstring_of, guards_of

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
_OPPOSITES = {"min": "max", "max": "min", "any": "all", "all": "any"}


def shift_bound(_: ast.Module, entry: Entry, noise: Noise) -> None:
    """Change one comparison, constant or operator outside guards and `while` conditions."""
    protected = {id(node) for kept in _protected(entry) for node in ast.walk(kept)}
    sites = [
        (weight, change)
        for node in ast.walk(entry)
        if id(node) not in protected
        for weight, change in _changes(node)
    ]
    if not sites:
        sites = [
            (1, change)
            for guard in guards_of(entry)
            for n in ast.walk(guard)
            for _w, change in _changes(n)
        ]
    heaviest = [change for weight, change in sites if weight == max(w for w, _ in sites)]
    if heaviest:
        noise.pick(heaviest, "site")()


def _protected(entry: Entry) -> list[ast.AST]:
    """Return the nodes that must not be changed, so that for example every loop still ends."""
    kept: list[ast.AST] = [*guards_of(entry), *entry.decorator_list]
    for node in ast.walk(entry):
        if isinstance(node, ast.While):
            kept += [
                node.test,
                *(child for child in ast.walk(node) if isinstance(child, ast.AugAssign)),
            ]
        elif isinstance(node, ast.FunctionDef):
            kept += [node.args, *docstring_of(node), *([node.returns] if node.returns else [])]
        elif isinstance(node, ast.AnnAssign):
            kept.append(node.annotation)
        elif isinstance(node, ast.Raise):
            kept.append(node)
    return kept


def _changes(node: ast.AST) -> list[tuple[int, Callable[[], None]]]:
    """Return the possible changes of a node, each with a weight: how surely it changes results."""
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
    if name in _OPPOSITES:
        return [(3, lambda: setattr(node, "func", ast.Name(_OPPOSITES[name])))]
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
