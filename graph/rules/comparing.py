"""Examples that compare in their own call: `{"call": "f(2) == 4", "returns": "True"}`.

Evaluated in the sandbox, the program's own `__eq__` would decide. So only `f(2)` is evaluated
there, and compared out here as Python would compare it.
"""

import ast
from functools import lru_cache
from typing import Any

from graph.expressions import literal, quietly
from graph.rules.compare import same
from graph.state import Example


def asked(example: Example) -> str:
    """Return the expression that the sandbox evaluates."""
    compared = _compared(example["call"], example.get("returns", ""))
    return compared[0] if compared else example["call"]


def holds(example: Example, value: object) -> bool:
    """Tell whether what was returned, decoded into plain objects, is what the example expects."""
    compared = _compared(example["call"], example["returns"])
    if compared is None:
        return same(literal(example["returns"]), value)
    return bool(value == compared[1]) or same(compared[1], value)


@lru_cache(maxsize=1024)
def _compared(call: str, returns: str) -> tuple[str, Any] | None:
    """Return the call and the literal that it is said to equal; None for other examples."""
    if returns.strip() != "True":
        return None
    with quietly():
        body = ast.parse(call.strip(), mode="eval").body
    if not isinstance(body, ast.Compare) or not isinstance(body.ops[0], ast.Eq | ast.Is):
        return None
    sides = (body.left, *body.comparators)
    for side, other in (sides, sides[::-1]) if len(sides) == 2 else ():
        try:
            return ast.unparse(side), ast.literal_eval(other)
        except (ValueError, TypeError, RecursionError, MemoryError):
            continue
    return None
