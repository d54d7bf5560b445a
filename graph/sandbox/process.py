"""A child process of a sandbox: start, feed, read with limits, stop, reap.

Independent of the backend, which gives either the command that starts a sandbox (`Launch`) or a
running process (`Running`).
"""

import asyncio
import contextlib
import functools
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from selfheal.graph.sandbox.channel import GarbledError, Transcript, packed
from selfheal.graph.sandbox.protocol import Limits, Program, SandboxUnavailable
from selfheal.graph.sandbox.watchdog import MOST_THREADS, threads

START_SECONDS = 20.0
LINGER_SECONDS = 2.0
POLL_SECONDS = 0.05
STDERR_BYTES = 65536
_STARTING = 12  # descriptors: three pipes of two ends, one for errors, a pidfd, and a reserve

Stop = Literal["start", "timeout", "output", "disk", "threads", "garbled", "cancelled"]


@dataclass(frozen=True, slots=True)
class Launch:
    """A command that creates a sandbox and runs the child in it.

    Attributes:
        argv: the command.
        env: its environment.
        fds: descriptors that it inherits.
        disk_full: polled with the process id, returns whether the program has written too much;
            for backends in which the kernel does not limit that.
    """

    argv: tuple[str, ...]
    env: dict[str, str]
    fds: tuple[int, ...] = ()
    disk_full: Callable[[int], bool] | None = None


class Running(Protocol):
    """A process that runs the child, like those of asyncio; it leads a process group."""

    stdin: asyncio.StreamWriter | None
    stdout: asyncio.StreamReader | None
    stderr: asyncio.StreamReader | None

    @property
    def pid(self) -> int:
        """Its id, and that of its group."""
        ...

    @property
    def returncode(self) -> int | None:
        """Its exit code, None while it runs."""
        ...

    async def wait(self) -> int:
        """Wait for its end."""
        ...


@dataclass(slots=True)
class Ending:
    """What is known about a child after its end.

    Attributes:
        transcript: the events that it reported.
        returncode: of its process.
        stopped: why it was stopped; None if it ended by itself.
        why: details of that.
        seconds: from start to end.
        stdout: cut to the limit.
        stderr: cut to 64 KB.
    """

    transcript: Transcript
    returncode: int = 0
    stopped: Stop | None = None
    why: str = ""
    seconds: float = 0.0
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)


class Child:
    """One run of a program."""

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
        """Run to the end.

        Args:
            start: starts the process.
            results_out: the read end of the pipe for the child's events.
            disk_full: see `Launch`.

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
        """Kill the child and its process group; the first reason is kept."""
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
            self.stop("disk")  # it ended before the watcher's next poll
        await asyncio.wait([asyncio.ensure_future(readers)], timeout=LINGER_SECONDS)
        readers.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await readers

    def _readers(
        self, process: Running, results: asyncio.StreamReader
    ) -> Iterator[Coroutine[Any, Any, None]]:
        if not (process.stdin and process.stdout and process.stderr):
            raise SandboxUnavailable("the process has no pipes")
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
        """Parse the next bytes of the channel, in a thread if they belong to a long line."""
        transcript = self.ending.transcript
        if transcript.is_long(data):
            await asyncio.to_thread(transcript.feed, data)
        else:
            transcript.feed(data)

    async def _watch(self, pid: int, disk_full: Callable[[int], bool] | None) -> None:
        """Poll what the kernel has no limit for: threads and disk space."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if await asyncio.to_thread(threads, pid) > MOST_THREADS:
                self.stop("threads")
            if disk_full is not None and await asyncio.to_thread(disk_full, pid):
                self.stop("disk")

    def _on_ready(self) -> None:
        """Start the program's time limit: the start of the sandbox does not count."""
        self._loop.call_soon_threadsafe(self._begin_time)  # may be called in a thread

    def _begin_time(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._limits.wall_seconds, self.stop, "timeout")


@contextlib.asynccontextmanager
async def reading(fd: int) -> AsyncIterator[asyncio.StreamReader]:
    """Open a reader of a pipe for the body, and close it afterwards."""
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
    """Run a program in a sandbox that a command starts.

    Args:
        build: returns the command, given the descriptor for the child's events.
        program: to run.
        limits: for it.

    Raises:
        SandboxUnavailable: the command could not be started.
    """
    try:
        results_out, results_in = os.pipe()
    except OSError as problem:
        raise SandboxUnavailable(f"cannot open a pipe: {problem}") from problem
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
    """Run a program in a process that `start` returns. Arguments as `Child.run`.

    Raises:
        SandboxUnavailable: the process could not be started.
    """
    child = Child(program, limits)
    return await _uninterrupted(child.run(start, results_out, disk_full), child)


async def _spawn(launch: Launch, results_in: int) -> Running:
    pipe = asyncio.subprocess.PIPE
    try:
        _require_descriptors(results_in)
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


def _require_descriptors(fd: int) -> None:
    """Check that there are enough descriptors to start a process.

    Python 3.11.2 (Debian 12) leaks descriptors when a start fails half-way, so that a shortage
    would last forever.

    Raises:
        OSError: there are too few.
    """
    taken: list[int] = []
    try:
        for _ in range(_STARTING):
            taken.append(os.dup(fd))  # noqa: PERF401 - those before an error must be closed
    finally:
        for each in taken:
            os.close(each)


async def _uninterrupted(work: Coroutine[Any, Any, Ending], child: Child) -> Ending:
    """Await the work; if cancelled, kill the child and wait until it is reaped."""
    task = asyncio.create_task(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            cancelled = True
            child.stop("cancelled")
    if cancelled:
        task.exception()  # retrieved, so that asyncio does not log it
        raise asyncio.CancelledError
    return task.result()
