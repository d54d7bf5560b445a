"""A program in a worker of the wasm sandbox, as a process for `process.py`."""

import asyncio
import contextlib
import os
from asyncio import StreamReader, StreamReaderProtocol, StreamWriter
from collections.abc import AsyncIterator, Sequence

from selfheal.graph.sandbox.process import Running, reading
from selfheal.graph.sandbox.protocol import Limits, SandboxUnavailable
from selfheal.graph.sandbox.wasm_pool import Worker


class Job:
    """A program in a worker, with the interface of a process of its own."""

    def __init__(self, worker: Worker, stdin: StreamWriter, outputs: list[StreamReader]) -> None:
        self._worker = worker
        self.stdin: StreamWriter | None = stdin
        self.stdout: StreamReader | None = outputs[0]
        self.stderr: StreamReader | None = outputs[1]
        self.returncode: int | None = None

    @property
    def pid(self) -> int:
        """The worker's id."""
        return self._worker.process.pid

    async def wait(self) -> int:
        """Wait for the end of the program or of the worker; return the exit code."""
        answer = b""
        with contextlib.suppress(ConnectionError):
            answer = await asyncio.get_running_loop().sock_recv(self._worker.channel, 100)
        if answer.strip().lstrip(b"-").isdigit():
            self.returncode = int(answer)
        else:
            self.returncode = await asyncio.to_thread(self._worker.end)
        return self.returncode


@contextlib.asynccontextmanager
async def started(
    worker: Worker, limits: Limits, ends: Sequence[tuple[int, int]]
) -> AsyncIterator[Running]:
    """Start a program in a worker.

    Args:
        worker: that runs it.
        limits: of the program.
        ends: pipes as (read, write) for its text, its output, its error output and its events.

    Yields:
        The program as a process.
    """
    (program, stdin), (stdout, output), (stderr, errors), (_, events) = ends
    theirs = (program, output, errors, events)
    sizes = f"{limits.memory_bytes} {limits.disk_bytes} {limits.cpu_seconds}"
    worker.give(sizes.encode(), theirs)
    for fd in theirs:
        os.close(fd)
    async with _writing(stdin) as writer, reading(stdout) as first, reading(stderr) as second:
        yield Job(worker, writer, [first, second])


@contextlib.asynccontextmanager
async def _writing(fd: int) -> AsyncIterator[StreamWriter]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(
        lambda: StreamReaderProtocol(StreamReader()), os.fdopen(fd, "wb", buffering=0)
    )
    try:
        yield StreamWriter(transport, protocol, None, loop)
    finally:
        if not transport.is_closing():
            transport.abort()


def pipes(count: int) -> list[tuple[int, int]]:
    """Open pipes, as (read, write).

    Raises:
        SandboxUnavailable: this process has too many files open.
    """
    made: list[tuple[int, int]] = []
    try:
        for _ in range(count):
            made.append(os.pipe())  # noqa: PERF401 - those before an error must be closed
    except OSError as problem:
        for fd in (fd for pipe in made for fd in pipe):
            os.close(fd)
        raise SandboxUnavailable(f"cannot open a pipe: {problem}") from problem
    return made
