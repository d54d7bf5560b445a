"""The sandbox of bubblewrap: namespaces, a private file system, and the seccomp filter."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from functools import cache
from pathlib import Path

from selfheal.app.aio import acquire_in_thread
from selfheal.graph.sandbox.interpreter import (
    CHILD,
    CHILD_VALUES,
    ENVIRONMENT,
    FLAGS,
    ONE_THREAD,
    compiled,
    executable,
    foreign_packages,
    readable,
)
from selfheal.graph.sandbox.outcome import execution_of
from selfheal.graph.sandbox.process import Launch, supervise
from selfheal.graph.sandbox.protocol import (
    DEFAULT_LIMITS,
    Execution,
    Limits,
    Program,
    SandboxUnavailable,
)
from selfheal.graph.sandbox.seccomp import filter_program
from selfheal.graph.sandbox.watchdog import crowded

REMEDY = "Install bubblewrap 0.8 or later (apt-get install bubblewrap) and allow user namespaces"
SCRATCH = "/work"
INSIDE = "/sandbox"
PACKAGES = "/packages"
_ISOLATE = (
    "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session",
    "--cap-drop", "ALL", "--uid", "65534", "--gid", "65534", "--hostname", "sandbox", "--clearenv",
)  # fmt: skip


class BwrapSandbox:
    """Runs each program in its own bubblewrap.

    Args:
        packages: a folder of packages that programs can import.
    """

    name = "bwrap"

    def __init__(self, packages: Path | None = None) -> None:
        self._packages = packages

    async def run(self, program: Program, limits: Limits = DEFAULT_LIMITS) -> Execution:
        """Run a program. See `Sandbox.run`.

        Raises:
            SandboxUnavailable: bubblewrap or seccomp is missing or does not work here.
        """
        command = await asyncio.to_thread(_command)
        async with _opened_files() as fds:
            seccomp, *scripts = fds

            def launch(result_fd: int) -> Launch:
                sizes = (result_fd, limits.cpu_seconds, limits.memory_bytes, limits.disk_bytes)
                given = (PACKAGES,) if self._packages else ()
                argv = (
                    *(*command, *_mounts(), *self._bind(), *_scripts(scripts)),
                    *(*_scratch(limits.disk_bytes), "--seccomp", str(seccomp), "--"),
                    *(str(executable()), *FLAGS, f"{INSIDE}/{CHILD.stem}.pyc"),
                    *map(str, (*sizes, *given)),
                )
                return Launch(
                    argv,
                    dict(ENVIRONMENT),
                    fds,
                    disk_full=lambda pid: crowded(pid, SCRATCH),
                )

            ending = await supervise(launch, program, limits)
        return execution_of(self.name, ending, limits)

    def _bind(self) -> tuple[str, ...]:
        if self._packages is None:
            return ()
        threads = (part for name in ONE_THREAD for part in ("--setenv", name, "1"))
        return "--ro-bind", str(self._packages), PACKAGES, *threads

    async def aclose(self) -> None:
        """Do nothing: nothing is kept between runs."""


def _command() -> tuple[str, ...]:
    path = shutil.which("bwrap")
    if path is None:
        raise SandboxUnavailable("bubblewrap is not installed", REMEDY)
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
    return (*parts, "--dev", "/dev")


def _mount(path: Path) -> tuple[str, ...]:
    if path.is_symlink() and path.is_dir():  # /lib on a merged /usr
        return "--symlink", str(path.readlink()), str(path)
    return "--ro-bind", str(path), str(path)


def _scratch(size: int) -> tuple[str, ...]:
    tmpfs = ("--size", str(size), "--tmpfs", SCRATCH, "--chdir", SCRATCH)
    return (*tmpfs, "--remount-ro", "/dev", "--remount-ro", "/")


def _scripts(fds: Sequence[int]) -> tuple[str, ...]:
    named = zip(fds, (CHILD, CHILD_VALUES), strict=True)
    binds = (("--ro-bind-data", str(fd), f"{INSIDE}/{path.stem}.pyc") for fd, path in named)
    return tuple(part for bind in binds for part in bind)


@contextlib.asynccontextmanager
async def _opened_files() -> AsyncIterator[tuple[int, ...]]:
    """Open the filter and the scripts for one run; concurrent runs would share file positions."""
    try:
        fds = await acquire_in_thread(_open_files, _close_files)
    except OSError as problem:
        raise SandboxUnavailable(f"cannot open a file: {problem}") from problem
    try:
        yield fds
    finally:
        _close_files(fds)


def _open_files() -> tuple[int, ...]:
    with contextlib.ExitStack() as stack:
        fds = []
        for kept in _kept_files():
            fds.append(os.open(f"/proc/self/fd/{kept}", os.O_RDONLY))
            stack.callback(os.close, fds[-1])
        stack.pop_all()
    return tuple(fds)


def _close_files(fds: tuple[int, ...]) -> None:
    for fd in fds:
        os.close(fd)


@cache
def _kept_files() -> tuple[int, ...]:
    """Return files in memory: the filter and the compiled scripts, which saves 5 ms a run."""
    return tuple(map(_in_memory, (filter_program(), compiled(CHILD), compiled(CHILD_VALUES))))


def _in_memory(content: bytes) -> int:
    fd = os.memfd_create("selfheal")
    os.write(fd, content)
    return fd
