"""bubblewrap: namespaces, a file system of its own, and the seccomp filter."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path

from graph.sandbox.contract import (
    DEFAULT_LIMITS,
    Execution,
    Limits,
    Program,
    SandboxUnavailable,
)
from graph.sandbox.excess import crowded
from graph.sandbox.interpreter import (
    CHILD,
    CHILD_VALUES,
    ENVIRONMENT,
    FLAGS,
    executable,
    foreign_packages,
    readable,
)
from graph.sandbox.launch import Launch
from graph.sandbox.making import made
from graph.sandbox.process import supervise
from graph.sandbox.seccomp import filter_program
from graph.sandbox.verdict import tell

MEND = "Install bubblewrap 0.8 or later (apt-get install bubblewrap) and allow user namespaces"
SCRATCH = "/work"
INSIDE = "/sandbox"
_ISOLATE = (
    "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session",
    "--cap-drop", "ALL", "--uid", "65534", "--gid", "65534", "--hostname", "sandbox", "--clearenv",
)  # fmt: skip


class BwrapSandbox:
    """Runs each program in a bubblewrap of its own."""

    name = "bwrap"

    async def run(self, program: Program, limits: Limits = DEFAULT_LIMITS) -> Execution:
        """Run a program; see `contract.Sandbox.run`.

        Raises:
            SandboxUnavailable: bubblewrap or seccomp is missing or does not work here.
        """
        command = await asyncio.to_thread(_command)
        async with _filter_fd() as filter_fd:

            def launch(result_fd: int) -> Launch:
                sizes = (result_fd, limits.cpu_seconds, limits.memory_bytes, limits.disk_bytes)
                argv = (
                    *(*command, *_mounts(), *_scratch(limits.disk_bytes)),
                    *("--seccomp", str(filter_fd), "--"),
                    *(str(executable()), *FLAGS, f"{INSIDE}/{CHILD.name}", *map(str, sizes)),
                )
                return Launch(
                    argv,
                    dict(ENVIRONMENT),
                    (filter_fd,),
                    disk_full=lambda pid: crowded(pid, SCRATCH),
                )

            ending = await supervise(launch, program, limits)
        return tell(self.name, ending, limits)


def _command() -> tuple[str, ...]:
    path = shutil.which("bwrap")
    if path is None:
        raise SandboxUnavailable("bubblewrap is not installed", MEND)
    environment = {**ENVIRONMENT, "HOME": SCRATCH, "TMPDIR": SCRATCH}
    settings = [part for pair in environment.items() for part in ("--setenv", *pair)]
    return (path, *_ISOLATE, *settings)


@cache
def _mounts() -> tuple[str, ...]:
    parts: list[str] = []
    for path in readable():
        parts += _mount(path)
    for folder in foreign_packages():
        parts += ["--tmpfs", str(folder), "--remount-ro", str(folder)]
    for path in (CHILD, CHILD_VALUES):
        parts += ["--ro-bind", str(path), f"{INSIDE}/{path.name}"]
    return (*parts, "--dev", "/dev")


def _mount(path: Path) -> tuple[str, ...]:
    if path.is_symlink() and path.is_dir():  # /lib on a merged /usr
        return "--symlink", str(path.readlink()), str(path)
    return "--ro-bind", str(path), str(path)


def _scratch(size: int) -> tuple[str, ...]:
    tmpfs = ("--size", str(size), "--tmpfs", SCRATCH, "--chdir", SCRATCH)
    return (*tmpfs, "--remount-ro", "/dev", "--remount-ro", "/")


@contextlib.asynccontextmanager
async def _filter_fd() -> AsyncIterator[int]:
    """Offer the filter as a file of its own, since runs at once would share a position."""
    fd = await made(_write_filter, os.close)
    try:
        yield fd
    finally:
        os.close(fd)


def _write_filter() -> int:
    fd = os.memfd_create("seccomp")
    os.write(fd, filter_program())
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
