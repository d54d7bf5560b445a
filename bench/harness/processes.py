"""Real processes: started, waited for, and never left behind."""

import asyncio
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
from asyncio import StreamReader
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import IO

from bench.harness.fork_server import fork_server

Environment = Mapping[str, str]


def clean_environment(**more: str) -> dict[str, str]:
    """Return an environment without this machine's keys and settings."""
    ours = ("SELFHEAL_", "LANGSMITH_", "LANGCHAIN_", "GOOGLE_", "DATABASE_URL")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


def selfheal(*arguments: str) -> tuple[str, ...]:
    """Return the command line of our program under this very interpreter."""
    return (sys.executable, "-m", "selfheal.server", *arguments)


@dataclass
class Process:
    """A process that leads a session of its own."""

    pid: int
    status: Callable[[], int]
    _code: int | None = None

    @property
    def returncode(self) -> int | None:
        """Its exit status, or None while it lives."""
        if self._code is None and _has_ended(self.pid):
            self._code = self.status()
        return self._code

    async def wait(self) -> int:
        """Wait for its end; return its exit status."""
        if self._code is None:
            await _ended(self.pid)
            self._code = self.status()
        return self._code

    def send_signal(self, number: int) -> None:
        """Send a signal to the process alone."""
        os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask the process to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it and what it has started."""
        os.killpg(self.pid, signal.SIGKILL)


@contextmanager
def _opened(pid: int) -> Iterator[int]:
    """Yield a file that can be read when the process has ended."""
    file = os.pidfd_open(pid)
    try:
        yield file
    finally:
        os.close(file)


def _has_ended(pid: int) -> bool:
    with _opened(pid) as file:
        return bool(select.select([file], [], [], 0)[0])


async def _ended(pid: int) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    with _opened(pid) as file:
        loop.add_reader(file, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(file)


def begin(command: tuple[str, ...], env: Environment, *files: IO[bytes] | int) -> Process:
    """Start a process with these for its standard input, output and error."""
    numbers = [each if isinstance(each, int) else each.fileno() for each in files]
    if _forkable(command, env):
        server = fork_server()
        pid = server.start(command[2], command[3:], env, numbers)
        return Process(pid, lambda: server.status(pid))
    stdin, stdout, stderr = numbers
    running = subprocess.Popen(
        command, env=env, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True
    )
    return Process(running.pid, running.wait)


def _forkable(command: tuple[str, ...], env: Environment) -> bool:
    same_code = env.get("PYTHONPATH") == os.environ.get("PYTHONPATH")
    return command[:2] == (sys.executable, "-m") and same_code


@asynccontextmanager
async def speaking(*command: str, env: Environment) -> AsyncIterator[tuple[Process, StreamReader]]:
    """Start a process; yield it, and what it writes; end it, by force if it takes too long."""
    ours, its = os.pipe()
    with os.fdopen(ours, "rb") as reading:
        with os.fdopen(its, "wb") as writing, tempfile.TemporaryFile() as nothing:
            process = begin(command, env, nothing, writing, writing)
        said = StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(said), reading
        )
        try:
            yield process, said
        finally:
            await _end(process)
            transport.close()


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 45)
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def started(
    *command: str, env: Environment, says: str, seconds: float = 60
) -> AsyncIterator[tuple[Process, str]]:
    """Start a process and wait for a line that matches `says`; yield it with the match's group."""
    async with speaking(*command, env=env) as (process, said):
        found = await asyncio.wait_for(heard(said, says), seconds)
        drain = asyncio.create_task(said.read())
        try:
            yield process, found
        finally:
            await _end(process)
            await drain


async def heard(said: StreamReader, pattern: str) -> str:
    """Wait until a process says something; return the pattern's group, or what matched."""
    seen: list[str] = []
    async for raw in said:
        seen.append(raw.decode(errors="replace"))
        if match := re.search(pattern, seen[-1]):
            return match[1] if match.re.groups else match[0]
    raise AssertionError(f"it ended without saying {pattern}:\n" + "".join(seen))


async def finished(
    *command: str, env: Environment, seconds: float = 60, stdin: str = ""
) -> tuple[int, str, str]:
    """Run a command to its end; return exit code, standard output and standard error."""
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        given.write(stdin.encode())
        given.seek(0)
        process = begin(command, env, given, out, err)
        try:
            await asyncio.wait_for(process.wait(), seconds)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        for each in (out, err):
            each.seek(0)
        return await process.wait(), out.read().decode(), err.read().decode()
