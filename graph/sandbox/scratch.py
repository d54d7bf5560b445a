"""A folder for a program's files, for backends without a private file system."""

import asyncio
import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from selfheal.app.aio import acquire_in_thread
from selfheal.graph.sandbox.protocol import SandboxUnavailable
from selfheal.graph.sandbox.watchdog import MOST_FILES

BLOCK_BYTES = 512


@contextlib.asynccontextmanager
async def scratch_folder() -> AsyncIterator[Path]:
    """Create a temporary folder for the body, and remove it with its content.

    Raises:
        SandboxUnavailable: it cannot be created.
    """
    try:
        folder = await acquire_in_thread(_make, _remove)
    except OSError as problem:
        raise SandboxUnavailable(f"cannot create a folder: {problem}") from problem
    try:
        yield folder
    finally:
        removal = asyncio.get_running_loop().run_in_executor(None, _remove, folder)
        await asyncio.shield(removal)


def overfull(folder: Path, pid: int, limit: int) -> bool:
    """Return whether a process has put too much into its folder, open deleted files included.

    Args:
        folder: of the process.
        pid: of the process.
        limit: bytes.
    """
    used = 0
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            used += _size(entry.path)
            if number >= MOST_FILES or used > limit:
                return True
    return used + _deleted_but_open(pid) > limit


def _make() -> Path:
    return Path(tempfile.mkdtemp(prefix="selfheal-sandbox-"))


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _size(path: str) -> int:
    with contextlib.suppress(OSError):  # removed in the meantime
        return os.lstat(path).st_blocks * BLOCK_BYTES
    return 0


def _deleted_but_open(pid: int) -> int:
    used = 0
    with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in entries:
            status = os.stat(entry.path)  # noqa: PTH116 - follows the link; the file has no path
            if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                used += status.st_blocks * BLOCK_BYTES
    return used
