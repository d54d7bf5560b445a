"""Work that is done for many items, a few at a time."""

import ast
import asyncio
from pathlib import Path

import pytest

from selfheal.app.aio import gather_bounded

ROOT = Path(__file__).parents[2]


async def test_results_are_in_the_order_of_the_items_and_at_most_so_many_run_at_a_time() -> None:
    running: set[int] = set()
    most = 0
    gates = [asyncio.Event() for _ in range(7)]

    async def work(item: int) -> int:
        nonlocal most
        running.add(item)
        most = max(most, len(running))
        await gates[item].wait()
        running.remove(item)
        return item * item

    task = asyncio.ensure_future(gather_bounded(3, work, range(7)))
    for gate in (gates[2], gates[1], gates[0], *gates[3:]):  # the first items end last
        await asyncio.sleep(0)
        gate.set()
    assert await task == [0, 1, 4, 9, 16, 25, 36]
    assert most == 3


async def test_an_error_is_raised_after_all_have_ended() -> None:
    ended: list[int] = []

    async def work(item: int) -> None:
        if item == 0:
            raise LookupError("the first")
        await asyncio.sleep(0)
        ended.append(item)

    with pytest.raises(LookupError, match="the first"):
        await gather_bounded(2, work, range(5))
    assert ended == [1, 2, 3, 4]


def test_no_function_bounds_a_gather_by_itself() -> None:
    """A semaphore beside a gather or `gather_all` in one function is what this one is for."""
    own = [
        f"{file.relative_to(ROOT)}: {function.name}"
        for folder in ("app", "graph", "optimizer", "server", "db", "bench")
        for file in (ROOT / folder).rglob("*.py")
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(function, ast.AsyncFunctionDef)
        and "Semaphore" in _called(function)
        and _called(function) & {"gather", "gather_all"}
    ]
    assert own == ["app/aio.py: gather_bounded"]


def _called(function: ast.AsyncFunctionDef) -> set[str]:
    """Return the names of what a function calls."""
    calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return {
        call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls
    }
