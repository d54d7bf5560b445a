"""Measuring what the kernel has no limit for: threads, and the number of files."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MOST_THREADS: Final = 256
MOST_FILES: Final = 1000


def threads(pid: int) -> int:
    """Count the threads of a process and of its children."""
    return sum(_threads(each) for each in family(pid))


def family(pid: int) -> Iterator[int]:
    """Yield the ids of a process and its descendants that still exist."""
    yield pid
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - names, not paths
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                yield from family(int(child))


def crowded(pid: int, folder: str) -> bool:
    """Return whether the file system that a process has mounted at `folder` has too many files.

    False if the process cannot be inspected: then only its time limit bounds it.
    """
    *_, program = family(pid)
    with contextlib.suppress(OSError):
        root = f"/proc/{program}/root"
        if os.path.samestat(os.stat(root), os.stat("/")):  # noqa: PTH116 - it follows the link
            return False  # its file system is not mounted yet: this is the host's
        found = os.statvfs(root + folder)
        return found.f_files - found.f_ffree > MOST_FILES
    return False


def _threads(pid: int) -> int:
    with contextlib.suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208 - names, not paths
    return 0
