"""The processes of the wasm backend, kept warm: each is given one program at a time."""

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

MOST_RUNS: Final = 500  # a fresh process now and then, so that nothing adds up


class Worker:
    """A process that runs one program after another: see `wasm_worker.py`.

    `fit` says that it may be given another. Unlike a process of asyncio's it belongs to no event
    loop.
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
        """Hand over a program; if the process has died meanwhile, waiting for it will tell."""
        self.fit = False
        self.runs += 1
        with contextlib.suppress(OSError):
            socket.send_fds(self.channel, [job], fds)

    def end(self) -> int:
        """Kill what is left of it, and return how it ended."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.channel.close()
        return self.process.wait()


class Pool:
    """Workers, started when they are needed, and no more at once than a loop may use."""

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
        """Lend a worker; one that comes back unfit is killed.

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
        """End the workers: those that are busy when they come back."""
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
    """See a worker dead, off the loop: a large process takes its time to die."""
    await asyncio.shield(asyncio.to_thread(worker.end))
