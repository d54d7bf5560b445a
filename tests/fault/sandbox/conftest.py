"""Every sandbox that works here, and a check that no program leaves anything behind."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from selfheal.graph.sandbox.protocol import (
    Sandbox,
)
from tests.support.sandboxes import BACKENDS, reports


@pytest.fixture(params=BACKENDS)
async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    report = reports[request.param]
    if not report.ok:
        pytest.skip(f"NOT TESTED: {report.name} does not work here: {report.reason}")
    found = BACKENDS[request.param]()
    yield found
    await found.aclose()


def mine(pid: int) -> Iterator[int]:
    """Every living descendant, zombies included."""
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            yield child
            with contextlib.suppress(OSError):
                yield from mine(child)


def orphans() -> Iterator[int]:
    """Processes of ours that have lost their parent; those of other test workers soon end too."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            text = path.read_text() + path.with_name("status").read_text()
            if "graph/sandbox" in text and "PPid:\t1\n" in text:
                yield int(path.parent.name)


def leftovers(folder: Path) -> tuple[set[int], set[str], int]:
    files = {path.name for path in folder.iterdir()}
    return {*mine(os.getpid()), *orphans()}, files, len(list(Path("/proc/self/fd").iterdir()))


def excess(
    after: tuple[set[int], set[str], int], before: tuple[set[int], set[str], int]
) -> list[object]:
    more = after[2] - before[2]
    return [*(after[0] - before[0]), *(after[1] - before[1]), *([f"{more} files"] * (more > 0))]


@pytest.fixture(autouse=True)
async def nothing_left(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    with tempfile.TemporaryDirectory(prefix="sandbox-test-") as name:
        folder = Path(name)
        os.chmod(name, 0o755)  # noqa: PTH101 - nobody must get in
        monkeypatch.setattr(tempfile, "tempdir", name)
        before = leftovers(folder)
        yield
        for _ in range(100):  # the kernel takes its time to end a namespace
            if not (more := excess(leftovers(folder), before)):
                break
            await asyncio.sleep(0.05)
        assert more == []
