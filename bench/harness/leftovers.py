"""What a run may leave behind: processes, files, descriptors, shared segments."""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

_PATIENCE_SECONDS = 5.0


def traces(folder: Path) -> set[str]:
    """Return everything of ours that is there now, the files in a folder among it."""
    return {
        *(f"process {pid}" for pid in (*descendants(os.getpid()), *orphans())),
        *(f"file {path.name}" for path in folder.iterdir()),
        *(f"descriptor {path.name}" for path in Path("/proc/self/fd").iterdir()),
        *(f"segment {number}" for number in private_segments()),
    }


async def left(folder: Path, before: set[str]) -> list[str]:
    """Return what is there and was not before; the kernel takes its time to end a namespace."""
    over = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
    while (more := traces(folder) - before) and asyncio.get_running_loop().time() < over:
        await asyncio.sleep(0.05)
    return sorted(more)


def descendants(pid: int) -> Iterator[int]:
    """Yield every living descendant, zombies included."""
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, " ".join(_lines(str(path))).split()):
            yield child
            yield from descendants(child)


def stopped(folder: Path) -> bool:
    """Tell whether an embedded Postgres ended in good order; raise if a process of it lives."""
    folder.mkdir(exist_ok=True)
    with (folder / "server.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return not (folder / "postgres-18/data/postmaster.pid").exists()


def orphans() -> Iterator[int]:
    """Yield processes of a sandbox that have lost their parent."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        text = "\n".join(_lines(str(path)) + _lines(str(path.with_name("status"))))
        if "graph/sandbox" in text and "PPid:\t1\n" in text:
            yield int(path.parent.name)


def private_segments() -> Iterator[str]:
    """Yield the shared segments without a name, as an attack makes them; databases name theirs."""
    for line in _lines("/proc/sysvipc/shm")[1:]:
        key, number, *_ = line.split()
        if key == "0":
            yield number


def _lines(path: str) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(path).read_text().splitlines()
    return []
