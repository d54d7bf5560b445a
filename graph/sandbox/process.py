"""One child process: started, fed, read with caps, stopped, reaped.

Nothing here knows a sandbox: a backend says in a `Launch` which command makes one, or brings a
process that runs already.
"""

import asyncio
import contextlib
import functools
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any

from selfheal.graph.sandbox.channel import GarbledError, Transcript, packed
from selfheal.graph.sandbox.launch import Ending, Launch, Running, Stop
from selfheal.graph.sandbox.protocol import Limits, Program, SandboxUnavailable
from selfheal.graph.sandbox.watchdog import MOST_THREADS, threads

START_SECONDS = 20.0
LINGER_SECONDS = 2.0
POLL_SECONDS = 0.05
STDERR_BYTES = 65536
_STARTING = 12  # descriptors: three pipes of two ends, the one for errors, a pidfd, and some


class Child:
    """One run of the child."""

    def __init__(self, program: Program, limits: Limits) -> None:
        self._program = program
        self._limits = limits
        self._process: Running | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self.ending = Ending(Transcript(program.calls, self._on_ready))

    async def run(
        self,
        start: Callable[[], Awaitable[Running]],
        results_out: int,
        disk_full: Callable[[int], bool] | None,
    ) -> Ending:
        """Run to the end; the results come out of the pipe `results_out`.

        Raises:
            SandboxUnavailable: the process could not be started.
        """
        started = time.monotonic()
        async with reading(results_out) as results:
            process = self._process = await start()
            if self.ending.stopped:  # cancelled while it was being started
                self.stop(self.ending.stopped)
            self._timer = asyncio.get_running_loop().call_later(START_SECONDS, self.stop, "start")
            try:
                await self._attend(process, results, disk_full)
            finally:
                self._timer.cancel()
                if process.returncode is None:
                    self.stop("cancelled")
        self.ending.seconds = time.monotonic() - started
        return self.ending

    def stop(self, reason: Stop, why: str = "") -> None:
        """Kill the child and all of its process group; the first reason counts."""
        if self.ending.stopped is None:
            self.ending.stopped, self.ending.why = reason, why
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _attend(
        self,
        process: Running,
        results: asyncio.StreamReader,
        disk_full: Callable[[int], bool] | None,
    ) -> None:
        readers = asyncio.gather(*self._readers(process, results))
        watcher = asyncio.create_task(self._watch(process.pid, disk_full))
        self.ending.returncode = await process.wait()
        watcher.cancel()
        if disk_full is not None and await asyncio.to_thread(disk_full, process.pid):
            self.stop("disk")  # it was faster than the watcher's next look
        await asyncio.wait([asyncio.ensure_future(readers)], timeout=LINGER_SECONDS)
        readers.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await readers

    def _readers(
        self, process: Running, results: asyncio.StreamReader
    ) -> Iterator[Coroutine[Any, Any, None]]:
        assert process.stdin and process.stdout and process.stderr  # noqa: S101, PT018
        yield self._feed(process.stdin)
        yield self._keep(process.stdout, self.ending.stdout, self._limits.output_bytes)
        yield self._keep(process.stderr, self.ending.stderr, STDERR_BYTES)
        yield self._follow(results)

    async def _feed(self, stdin: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            stdin.write(packed(self._program))
            await stdin.drain()
        stdin.close()
        with contextlib.suppress(ConnectionError):
            await stdin.wait_closed()

    async def _keep(self, stream: asyncio.StreamReader, kept: bytearray, cap: int) -> None:
        while data := await stream.read(65536):
            room = cap - len(kept)
            kept += data[:room]
            if len(data) > room:
                self.stop("output")

    async def _follow(self, results: asyncio.StreamReader) -> None:
        while data := await results.read(65536):
            if self.ending.stopped == "garbled":
                continue
            try:
                await self._feed_transcript(data)
            except GarbledError as problem:
                self.stop("garbled", str(problem))

    async def _feed_transcript(self, data: bytes) -> None:
        """Read the next bytes of the channel; those of a long line not in the event loop."""
        transcript = self.ending.transcript
        if transcript.is_long(data):
            await asyncio.to_thread(transcript.feed, data)
        else:
            transcript.feed(data)

    async def _watch(self, pid: int, disk_full: Callable[[int], bool] | None) -> None:
        """Look now and then at what no limit of the kernel's keeps in."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if await asyncio.to_thread(threads, pid) > MOST_THREADS:
                self.stop("threads")
            if disk_full is not None and await asyncio.to_thread(disk_full, pid):
                self.stop("disk")

    def _on_ready(self) -> None:
        """Give the program its time from now on: the sandbox's own start does not count."""
        self._loop.call_soon_threadsafe(self._begin_time)  # a long line is read in a thread

    def _begin_time(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._limits.wall_seconds, self.stop, "timeout")


@contextlib.asynccontextmanager
async def reading(fd: int) -> AsyncIterator[asyncio.StreamReader]:
    """Read from a pipe, and close it in the end."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", buffering=0)
    )
    try:
        yield reader
    finally:
        transport.close()


async def supervise(build: Callable[[int], Launch], program: Program, limits: Limits) -> Ending:
    """Run the child in the sandbox that `build` describes, given the number of the result fd.

    Raises:
        SandboxUnavailable: the command could not be started.
    """
    try:
        results_out, results_in = os.pipe()
    except OSError as problem:
        raise SandboxUnavailable(f"no pipe is to be had: {problem}") from problem
    try:
        launch = build(results_in)
    except BaseException:
        os.close(results_out)
        os.close(results_in)
        raise
    start = functools.partial(_spawn, launch, results_in)
    return await attend(start, program, limits, results_out, launch.disk_full)


async def attend(
    start: Callable[[], Awaitable[Running]],
    program: Program,
    limits: Limits,
    results_out: int,
    disk_full: Callable[[int], bool] | None = None,
) -> Ending:
    """Run the child in the process that `start` offers, whose results come out of a pipe.

    Raises:
        SandboxUnavailable: the process could not be started.
    """
    child = Child(program, limits)
    return await _uninterrupted(child.run(start, results_out, disk_full), child)


async def _spawn(launch: Launch, results_in: int) -> Running:
    pipe = asyncio.subprocess.PIPE
    try:
        _see_room(results_in)
        return await asyncio.create_subprocess_exec(
            *launch.argv,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=launch.env,
            pass_fds=(results_in, *launch.fds),
            start_new_session=True,
        )
    except OSError as problem:
        raise SandboxUnavailable(f"{launch.argv[0]} cannot be started: {problem}") from problem
    finally:
        os.close(results_in)


def _see_room(fd: int) -> None:
    """Raise OSError where descriptors are too few to start a process.

    Debian 12's Python (3.11.2) starts one in steps, and of a start that fails half-way it never
    closes what it had opened: then a shortage would last for ever.
    """
    taken: list[int] = []
    try:
        for _ in range(_STARTING):
            taken.append(os.dup(fd))  # noqa: PERF401 - all that were taken before an error count
    finally:
        for each in taken:
            os.close(each)


async def _uninterrupted(work: Coroutine[Any, Any, Ending], child: Child) -> Ending:
    """Await the work; if cancelled, kill the child, see it reaped, then be cancelled."""
    task = asyncio.create_task(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            cancelled = True
            child.stop("cancelled")
    if cancelled:
        task.exception()  # looked at, so that asyncio does not report it as lost
        raise asyncio.CancelledError
    return task.result()
