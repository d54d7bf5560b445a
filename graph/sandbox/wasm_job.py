"""One program's time in a worker of the wasm backend, for `process.py` to attend to."""

import asyncio
import contextlib
import os
from asyncio import StreamReader, StreamReaderProtocol, StreamWriter
from collections.abc import AsyncIterator, Sequence

from selfheal.graph.sandbox.launch import Running
from selfheal.graph.sandbox.process import reading
from selfheal.graph.sandbox.protocol import Limits, SandboxUnavailable
from selfheal.graph.sandbox.wasm_pool import Worker


class Job:
    """One program's time in a worker, looked at as if it had the process for itself."""

    def __init__(self, worker: Worker, stdin: StreamWriter, outputs: list[StreamReader]) -> None:
        self._worker = worker
        self.stdin: StreamWriter | None = stdin
        self.stdout: StreamReader | None = outputs[0]
        self.stderr: StreamReader | None = outputs[1]
        self.returncode: int | None = None

    @property
    def pid(self) -> int:
        """The worker's."""
        return self._worker.process.pid

    async def wait(self) -> int:
        """Wait for the program's end, or for the worker's."""
        answer = b""
        with contextlib.suppress(ConnectionError):
            answer = await asyncio.get_running_loop().sock_recv(self._worker.channel, 100)
        if answer.strip().lstrip(b"-").isdigit():
            self.returncode = int(answer)
        else:
            self.returncode = await asyncio.to_thread(self._worker.end)
        return self.returncode


@contextlib.asynccontextmanager
async def given(
    worker: Worker, limits: Limits, ends: Sequence[tuple[int, int]]
) -> AsyncIterator[Running]:
    """Give a program's pipes to a worker, and keep our ends of them."""
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
    """Make pipes.

    Raises:
        SandboxUnavailable: this process has too many files open.
    """
    made: list[tuple[int, int]] = []
    try:
        for _ in range(count):
            made.append(os.pipe())  # noqa: PERF401 - those made before a failure are closed
    except OSError as problem:
        for fd in (fd for pipe in made for fd in pipe):
            os.close(fd)
        raise SandboxUnavailable(f"no pipe is to be had: {problem}") from problem
    return made
