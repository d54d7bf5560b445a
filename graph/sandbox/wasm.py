"""The sandbox of CPython on WASI, for macOS and where the kernel offers no sandbox.

The engine confines the program. It runs in a pool of processes that can be killed, so that no hang
or crash of the engine reaches the service.
"""

import contextlib
import functools
import importlib.util
import os
import sys
from pathlib import Path

import platformdirs

from selfheal.graph.sandbox.interpreter import ENVIRONMENT, FLAGS, executable
from selfheal.graph.sandbox.outcome import execution_of
from selfheal.graph.sandbox.process import Ending, attend
from selfheal.graph.sandbox.protocol import (
    DEFAULT_LIMITS,
    Execution,
    Limits,
    Program,
    SandboxUnavailable,
)
from selfheal.graph.sandbox.seccomp import filter_program
from selfheal.graph.sandbox.wasm_job import pipes, started
from selfheal.graph.sandbox.wasm_pool import Pool, Worker

WORKER = Path(__file__).with_name("wasm_worker.py")
REMEDY = "Use Python 3.12 or later, and `pip install 'selfheal[wasm]'`"
_ENGINE = {
    # Preallocated slots are 2 ms faster, but can run out, and count as memory of the process.
    "ERYX_ALLOCATOR": "on-demand",
    "RUST_BACKTRACE": "0",
}


class WasmSandbox:
    """Runs each program in a fresh WASI instance, in a worker process that is reused.

    Args:
        packages: must be None: the guest cannot read folders.
        workers: processes at most; 0 for one for each processor, at least two.
    """

    name = "wasm"

    def __init__(self, packages: Path | None = None, *, workers: int = 0) -> None:
        if packages is not None:
            raise SandboxUnavailable(
                "wasm cannot use SELFHEAL_SANDBOX_PACKAGES",
                "Unset it, or use SELFHEAL_SANDBOX=bwrap or landlock",
            )
        self._pool = Pool(_start, workers or max(2, os.cpu_count() or 1))

    async def run(self, program: Program, limits: Limits = DEFAULT_LIMITS) -> Execution:
        """Run a program. See `Sandbox.run`.

        Raises:
            SandboxUnavailable: eryx is missing or does not work here.
        """
        ending = await self._once(program, limits)
        if _crashed(ending):
            # The engine died before its `ready` event, which is sent a little late.
            ending = await self._once(program, limits)
            if _crashed(ending):
                message = "killed: it crashed the sandbox's engine, twice"
                return Execution(self.name, "killed", message, ending.seconds, "", ())
        return execution_of(self.name, ending, limits)

    async def _once(self, program: Program, limits: Limits) -> Ending:
        async with self._pool.worker() as worker, contextlib.AsyncExitStack() as stack:
            ends = pipes(4)
            start = functools.partial(stack.enter_async_context, started(worker, limits, ends))
            ending = await attend(start, program, limits, ends[3][0])
            worker.fit = ending.stopped is None and worker.process.poll() is None
        return ending

    async def aclose(self) -> None:
        """End the worker processes."""
        await self._pool.aclose()


def _crashed(ending: Ending) -> bool:
    return not ending.transcript.ready and ending.stopped is None and ending.returncode < 0


def _start() -> Worker:
    argv = (str(executable()), *FLAGS, str(WORKER), _packages(), _filter())
    try:
        return Worker(argv, {**ENVIRONMENT, **_ENGINE, "TMPDIR": str(_folder())})
    except OSError as problem:
        raise SandboxUnavailable(f"wasm cannot be started: {problem}") from problem


def _packages() -> str:
    """Return the folder from which the worker imports eryx.

    Raises:
        SandboxUnavailable: it is not installed.
    """
    if sys.version_info < (3, 12):
        raise SandboxUnavailable("pyeryx needs Python 3.12 or later", REMEDY)
    spec = importlib.util.find_spec("eryx")
    if spec is None or spec.origin is None:
        raise SandboxUnavailable("pyeryx is not installed", REMEDY)
    return str(Path(spec.origin).parents[1])


def _filter() -> str:
    """Return the seccomp filter for the worker, a second defence; empty if not available."""
    try:
        return filter_program().hex()
    except SandboxUnavailable:
        return ""


def _folder() -> Path:
    """Return a private folder for the machine code that the engine unpacks and loads.

    By default that has a well-known name among temporary files, where other users could put a file
    first.

    Raises:
        SandboxUnavailable: other users can write to it.
    """
    folder = platformdirs.user_cache_path("selfheal") / "wasm"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise SandboxUnavailable(f"others can write to {folder}", f"Remove {folder}")
    return folder
