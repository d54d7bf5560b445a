"""The worker processes of the wasm sandbox, which are reused: each runs a program at a time."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final
from weakref import WeakKeyDictionary

from selfheal.app.aio import acquire_in_thread
from selfheal.graph.sandbox.protocol import SandboxUnavailable

MOST_RUNS: Final = 500  # then the process is replaced, so that no leak accumulates


class Worker:
    """A process that runs one program after another: see `wasm_worker.py`.

    Unlike a process of asyncio it belongs to no event loop.

    Attributes:
        fit: it may run another program.
        runs: programs so far.
    """

    def __init__(self, argv: Sequence[str], env: dict[str, str]) -> None:
        self.fit = True
        self.runs = 0
        self.channel, theirs = socket.socketpair()
        self.channel.setblocking(False)
        with theirs:
            try:
                self.process = subprocess.Popen(
                    argv,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=env,
                    cwd="/",
                    start_new_session=True,
                )
            except BaseException:
                self.channel.close()
                raise

    def give(self, job: bytes, fds: Sequence[int]) -> None:
        """Send a program's limits and descriptors; a dead process is noticed by waiting for it."""
        self.fit = False
        self.runs += 1
        with contextlib.suppress(OSError):
            socket.send_fds(self.channel, [job], fds)

    def end(self) -> int:
        """Kill it if it lives, and return its exit code."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.channel.close()
        return self.process.wait()


class Pool:
    """Workers that are started on demand.

    Args:
        start: starts one.
        size: how many may be in use in one event loop.
    """

    def __init__(self, start: Callable[[], Worker], size: int) -> None:
        self._start = start
        self._size = size
        self._idle: list[Worker] = []
        self._closed = False
        self._lock = threading.Lock()
        # A semaphore belongs to a loop; the workers do not.
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            WeakKeyDictionary()
        )

    @contextlib.asynccontextmanager
    async def worker(self) -> AsyncIterator[Worker]:
        """Lend a worker; an unfit one is killed afterwards.

        Raises:
            SandboxUnavailable: the pool is closed.
        """
        loop = asyncio.get_running_loop()
        async with self._turns.setdefault(loop, asyncio.Semaphore(self._size)):
            worker = await self._taken()
            try:
                yield worker
            finally:
                if not self._keep(worker):
                    await _ended(worker)

    async def aclose(self) -> None:
        """End the workers; those in use when they are returned."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        await asyncio.gather(*map(_ended, idle))

    async def _taken(self) -> Worker:
        while worker := self._warm():
            if worker.process.poll() is None:
                return worker
            worker.end()
        return await acquire_in_thread(self._start, self._idle.append)

    def _warm(self) -> Worker | None:
        with self._lock:
            if self._closed:
                raise SandboxUnavailable("the wasm sandbox is closed")
            return self._idle.pop() if self._idle else None

    def _keep(self, worker: Worker) -> bool:
        with self._lock:
            kept = worker.fit and worker.runs < MOST_RUNS and not self._closed
            if kept:
                self._idle.append(worker)
        return kept


async def _ended(worker: Worker) -> None:
    """End a worker in a thread, since a large process takes long to exit."""
    await asyncio.shield(asyncio.to_thread(worker.end))
