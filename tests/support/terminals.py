"""Real pseudo-terminals, and what runs in them."""

import asyncio
import os
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from bench.harness.leftovers import descendants
from bench.harness.processes import Environment

_CHUNK = 1 << 16


class Terminal:
    """A terminal whose session leader is a command."""

    def __init__(self, pid: int, screen: int) -> None:
        self.pid = pid
        self._screen: int | None = screen
        self.seen = ""

    async def until(self, pattern: str, seconds: float = 60) -> str:
        """Read until the pattern is there; return its group, or what matched.

        Raises:
            AssertionError: it did not come in time, or the last process closed the terminal.
        """
        async with asyncio.timeout(seconds):
            while (found := re.search(pattern, self.seen)) is None:
                text = await self._read()
                assert text, f"it ended without {pattern}:\n{self.seen}"
                self.seen += text.decode(errors="replace")
        return found[1] if found.re.groups else found[0]

    async def _read(self) -> bytes:
        assert self._screen is not None
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._screen, readable.set)
        try:
            await readable.wait()
            return os.read(self._screen, _CHUNK)
        except OSError:  # EIO: no process has it open any more
            return b""
        finally:
            loop.remove_reader(self._screen)

    def press(self, keys: bytes) -> None:
        """Type: b"\\x03" is Ctrl-C."""
        assert self._screen is not None
        os.write(self._screen, keys)

    def close(self) -> None:
        """Close the window: the kernel sends SIGHUP to the foreground processes."""
        if self._screen is not None:
            os.close(self._screen)
            self._screen = None


@asynccontextmanager
async def in_terminal(*command: str, env: Environment, cwd: Path) -> AsyncIterator[Terminal]:
    """Run a command in a terminal of its own; at the end close it and kill what is left."""
    screen, inside = os.openpty()
    process = subprocess.Popen(  # noqa: ASYNC220 - it only starts
        ["setsid", "--ctty", *command],  # it execs, so the command has the id of this child
        stdin=inside,
        stdout=inside,
        stderr=inside,
        env=dict(env),
        cwd=cwd,
    )
    os.close(inside)
    terminal = Terminal(process.pid, screen)
    family = [process.pid]
    try:
        yield terminal
    finally:
        family += list(descendants(process.pid))
        terminal.close()
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
        process.wait()


async def ended(pids: list[int], seconds: float = 60) -> None:
    """Wait until none of the processes lives; a zombie does not.

    Raises:
        AssertionError: some live on.
    """
    alive = pids
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while alive := [pid for pid in alive if _lives(pid)]:
                await asyncio.sleep(0.05)
    assert not alive, [(Path("/proc") / str(pid) / "cmdline").read_text() for pid in alive]


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
