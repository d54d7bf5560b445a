"""What no limit of the kernel's keeps in: threads, and files without content."""

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
    """Yield a process and its descendants, as far as they are still there."""
    yield pid
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - names, not paths
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                yield from family(int(child))


def crowded(pid: int, folder: str) -> bool:
    """Tell whether a file system that only a process sees at `folder` holds too many files.

    Where the process cannot be looked into, nothing is known, and its time alone bounds it.
    """
    *_, program = family(pid)
    with contextlib.suppress(OSError):
        root = f"/proc/{program}/root"
        if os.path.samestat(os.stat(root), os.stat("/")):  # noqa: PTH116 - it follows the link
            return False  # its own file system is still being made: this is the machine's
        found = os.statvfs(root + folder)
        return found.f_files - found.f_ffree > MOST_FILES
    return False


def _threads(pid: int) -> int:
    with contextlib.suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208 - names, not paths
    return 0
