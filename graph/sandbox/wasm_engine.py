"""The engine in a worker of the wasm sandbox: CPython on WASI. See `wasm_worker.py`."""

import contextlib
import fcntl
import importlib
import os
import re
import sys
from pathlib import Path

SOURCES = ("child_values", "child", "wasm_guest")
COMPILE = """
import _eryx, marshal
codes = [(name, compile(text, name, "exec")) for name, text in {sources!r}]
_eryx._eryx_report_output(0, marshal.dumps(codes))
"""
RUN = """
import marshal, sys
for name, code in marshal.loads(bytes.fromhex("{codes}")):
    module = sys.modules[name] = type(sys)(name)
    module.__file__ = "/sandbox/" + name
    exec(code, module.__dict__)
for name in {names!r}:
    del sys.modules[name]
module.main(bytes.fromhex("{packed}"))
"""
FOREVER_MS = 10**9
EXIT_ERROR, EXIT_MEMORY, EXIT_ABORTED = 1, 77, 134
EXITED = re.compile(r"Exited with i32 exit status (-?\d{1,9})\b")

TYPE_CHECKING = False  # as in `typing`, which takes long to import
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType
    from typing import Any


class Engine:
    """eryx, loaded once; each program gets a fresh instance."""

    def __init__(self, packages: str) -> None:
        sys.path.append(packages)
        self.eryx: ModuleType = importlib.import_module("eryx")
        self.events = -1
        self.limits: tuple[int, int] | None = None
        self.sandbox: Any = None
        self.codes = self.compiled().hex()

    def compiled(self) -> bytes:
        """Compile the child's scripts for the guest's Python, which takes 30 ms."""
        paths = [Path(__file__).with_name(f"{name}.py") for name in SOURCES]
        sources = [(path.stem, path.read_text(encoding="utf-8")) for path in paths]
        parts: list[bytes] = []
        with locked():
            sandbox = self.eryx.Sandbox(on_stdout=parts.append)
        sandbox.execute(COMPILE.format(sources=sources))
        return b"".join(parts)

    def limit(self, memory_bytes: int, file_bytes: int) -> None:
        """Set the limits of the next program; a change takes some milliseconds."""
        if self.limits != (memory_bytes, file_bytes):
            limits = self.eryx.ResourceLimits(
                max_memory_bytes=memory_bytes,
                max_vfs_bytes=file_bytes,
                execution_timeout_ms=FOREVER_MS,  # the parent has the time limit
            )
            self.sandbox = self.eryx.Sandbox(
                resource_limits=limits, on_stdout=self.pass_on, on_stderr=pass_on_errors
            )
            self.limits = memory_bytes, file_bytes

    def run(self, packed: bytes, events: int) -> int:
        """Run a program; return the exit code that a separate process would have."""
        self.events = events
        text = RUN.format(codes=self.codes, names=SOURCES, packed=packed.hex())
        try:
            self.sandbox.execute(text)
        except self.eryx.EryxError as problem:
            return exit_code(str(problem))
        return 0

    def pass_on(self, chunk: bytes) -> None:
        """Pass the guest's events on to the parent."""
        while chunk:
            chunk = chunk[os.write(self.events, chunk) :]


def pass_on_errors(chunk: bytes) -> None:
    """Pass on the guest's error output, which the parent limits."""
    os.write(2, chunk)


def exit_code(problem: str) -> int:
    """Return the exit code for an error message of the engine; a trap is like an abort."""
    if codes := EXITED.findall(problem):
        return int(codes[-1])
    if problem.rstrip().endswith("MemoryError"):
        return EXIT_MEMORY
    return EXIT_ERROR if problem.startswith("Traceback") else EXIT_ABORTED


@contextlib.contextmanager
def locked() -> "Iterator[None]":
    """Lock out other workers, which must not unpack the engine at the same time."""
    with Path(os.environ["TMPDIR"], "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
