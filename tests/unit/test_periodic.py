"""Periodic work survives errors, ends when it is cancelled, and is written once."""

import ast
import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from selfheal.app.aio import periodic
from selfheal.db.errors import DatabaseError

ROOT = Path(__file__).parents[2]


async def test_an_error_is_logged_and_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    errors = iter((DatabaseError("away\nsecond line"), ValueError("a defect"), None))
    done = asyncio.Event()

    async def work() -> None:
        if error := next(errors):
            raise error
        done.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(periodic(work, 0, name="work"))
    async with asyncio.timeout(5):
        await done.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [each.levelname for each in caplog.records] == ["WARNING", "ERROR"]
    assert caplog.records[0].getMessage() == "work failed: away"
    assert caplog.records[1].exc_info is not None


async def test_an_error_of_the_clean_up_does_not_hide_a_cancellation() -> None:
    started = asyncio.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise DatabaseError("the clean-up failed")

    task = asyncio.create_task(periodic(work, 3600, name="work"))
    await started.wait()
    task.cancel()
    await asyncio.wait({task}, timeout=5)
    assert task.cancelled()


def _endless_loops(tree: ast.AST) -> Iterator[ast.While]:
    """Yield loops without an end that catch every error: what `periodic` is for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.While) and isinstance(node.test, ast.Constant) and node.test.value:
            caught = {
                handler.type.id
                for each in ast.walk(node)
                if isinstance(each, ast.Try)
                for handler in each.handlers
                if isinstance(handler.type, ast.Name)
            }
            if "Exception" in caught:
                yield node


def test_no_other_loop_survives_every_error() -> None:
    found = {}
    for folder in ("app", "db", "graph", "optimizer", "server"):
        for path in (ROOT / folder).rglob("*.py"):
            loops = list(_endless_loops(ast.parse(path.read_text(encoding="utf-8"))))
            if loops:
                found[str(path.relative_to(ROOT))] = [each.lineno for each in loops]
    assert list(found) == ["app/aio.py"], f"use selfheal.app.aio.periodic: {found}"
