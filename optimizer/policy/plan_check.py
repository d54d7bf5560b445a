"""Whether a plan contradicts the request that it was made from, decided without a model."""

import ast
import re
from collections.abc import Iterator

from selfheal.graph.parsing.literals import quietly
from selfheal.graph.rules.static_runner import defined_name
from selfheal.graph.state import Plan

_CALLED = re.compile(r"(?<![\w.])([A-Za-z_]\w*)\(")


def contradicts(request: str, plan: Plan) -> bool:
    """Tell whether a plan names something else than was requested, or takes fewer arguments.

    What was requested is taken from the stated examples or, where there are none, from the calls
    in the request itself.
    """
    signature = str(plan.get("signature") or "")
    name = defined_name(signature)
    if name is None:
        return False
    calls = list(_stated_calls(plan))
    if not calls:
        asked = set(_CALLED.findall(request))
        return bool(asked) and not re.search(rf"\b{re.escape(name)}\b", request)
    if not any(_mentions(name, call) for call in calls):
        return True
    room = _room(signature, name)
    return room is not None and any(_needs_more(name, room, call) for call in calls)


def names(plan: Plan) -> str | None:
    """Return what a plan's signature names; None if it cannot be read."""
    return defined_name(str(plan.get("signature") or ""))


def follows(code: str, plan: Plan) -> bool:
    """Tell whether code defines what its plan's signature names."""
    name = names(plan)
    return name is not None and bool(
        re.search(rf"^(?:async\s+def|def|class)\s+{re.escape(name)}\b", code, re.MULTILINE)
    )


def _stated_calls(plan: Plan) -> Iterator[ast.AST]:
    for each in plan.get("examples") or []:
        if each.get("origin") == "stated":
            try:
                with quietly():
                    tree = ast.parse(str(each.get("call", "")).strip(), mode="eval")
                yield tree
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue


def _mentions(name: str, call: ast.AST) -> bool:
    return name in {node.id for node in ast.walk(call) if isinstance(node, ast.Name)}


def _needs_more(name: str, room: int, call: ast.AST) -> bool:
    """Tell whether a call passes more arguments than the signature takes."""
    return any(
        len(node.args) + len(node.keywords) > room
        for node in ast.walk(call)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == name
        and not any(isinstance(each, ast.Starred) for each in node.args)
        and all(each.arg for each in node.keywords)
    )


def _room(signature: str, name: str) -> int | None:
    """Return how many arguments a function's signature takes; None if that is not known."""
    found = re.search(rf"\b{re.escape(name)}\s*\(.*\)(?:\s*->[^:]+)?", signature, re.DOTALL)
    if found is None or re.search(r"\bclass\s", signature):
        return None
    try:
        with quietly():
            (entry,) = ast.parse(f"def {found[0]}: ...").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if not isinstance(entry, ast.FunctionDef) or entry.args.vararg or entry.args.kwarg:
        return None
    return len(entry.args.posonlyargs) + len(entry.args.args) + len(entry.args.kwonlyargs)
