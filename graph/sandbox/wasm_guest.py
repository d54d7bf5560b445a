"""The child's script inside WASI, where there are no other files and no limits to set.

`wasm_engine.py` compiles it together with `child.py` once, and runs both for each program.
"""

import asyncio
import contextlib
import io
import os
import sys
from asyncio.selector_events import BaseSelectorEventLoop

import _eryx  # type: ignore[import-not-found] # provided by the engine inside the guest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from selfheal.graph.sandbox.child import Reporter, read_texts, run
else:
    from child import Reporter, read_texts, run

SCRATCH = "/data"  # the only folder that programs can write to
STDOUT = 0
HEADROOM_BYTES = 2**20


class Reserve:
    """Memory that is released for reporting, since no limit can be raised here."""

    def __init__(self) -> None:
        self.kept = [bytes(HEADROOM_BYTES)]

    def __enter__(self) -> None:
        self.kept.clear()

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(MemoryError):
            self.kept.append(bytes(HEADROOM_BYTES))


class GuestReporter(Reporter):
    """Reports through the engine's standard output, which has no other use."""

    def __init__(self) -> None:
        super().__init__(STDOUT)
        self.headroom = Reserve()

    def write(self, line: bytes) -> int:
        """Write a line, which the host takes completely."""
        _eryx._eryx_report_output(self.fd, line)
        return len(line)


def free_asyncio() -> None:
    """Let the program run an event loop: the engine's is running, and there are no sockets."""
    asyncio._set_running_loop(None)
    BaseSelectorEventLoop._make_self_pipe = lambda self: setattr(self, "_csock", None)  # type: ignore[attr-defined]
    BaseSelectorEventLoop._close_self_pipe = lambda self: None  # type: ignore[attr-defined]


def main(packed: bytes) -> None:
    """Run one program."""
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__  # of the worker, not of the engine
    os.environ.clear()
    os.environ.update(HOME=SCRATCH, TMPDIR=SCRATCH)
    os.chdir(SCRATCH)
    free_asyncio()
    code, *calls = read_texts(io.BytesIO(packed))
    run(code, calls, GuestReporter())
