"""Real processes: started, waited for, and never left behind."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

Environment = Mapping[str, str]


def clean_environment(**more: str) -> dict[str, str]:
    """Return an environment without this machine's keys and settings."""
    ours = ("SELFHEAL_", "LANGSMITH_", "LANGCHAIN_", "GOOGLE_", "DATABASE_URL")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


@asynccontextmanager
async def started(
    *command: str, env: Environment, says: str, seconds: float = 60
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Start a process and wait for a line that matches `says`; yield it with the match's group."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    seen: list[str] = []
    drain: asyncio.Task[None] | None = None
    try:
        found = await asyncio.wait_for(_line(process, says, seen), seconds)
        drain = asyncio.create_task(_drain(process, seen))
        yield process, found
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 45)
            except TimeoutError:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if drain:
            await drain
        process._transport.close()  # type: ignore[attr-defined]


async def _line(process: asyncio.subprocess.Process, says: str, seen: list[str]) -> str:
    assert process.stdout is not None
    async for raw in process.stdout:
        seen.append(raw.decode(errors="replace"))
        if match := re.search(says, seen[-1]):
            return match[1] if match.re.groups else match[0]
    raise AssertionError("it ended without a word of being ready:\n" + "".join(seen))


async def _drain(process: asyncio.subprocess.Process, seen: list[str]) -> None:
    assert process.stdout is not None
    seen.append((await process.stdout.read()).decode(errors="replace"))


async def finished(
    *command: str, env: Environment, seconds: float = 60, stdin: str = ""
) -> tuple[int, str, str]:
    """Run a command to its end; return exit code, standard output and standard error."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=env,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(stdin.encode()), seconds)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def selfheal(*arguments: str) -> tuple[str, ...]:
    """Return the command line of our program under this very interpreter."""
    return (sys.executable, "-c", "from server.cli import main; main()", *arguments)
