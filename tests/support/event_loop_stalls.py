"""How long the event loop is kept from its work, measured so that a busy machine changes little."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final

from selfheal.app.errors import OutputError

MOST_SECONDS: Final = 0.1
_TICK: Final = 0.002
_QUIET: Final = 0.030  # seconds that the calibration takes on a quiet machine


def _slowness() -> float:
    """Return how many times slower than a quiet machine this one computes now; 1 at least.

    Other processes that wait for the same cores do not count in a process's own time, but those
    that share a core's caches with it slow it down.
    """
    began = time.thread_time()
    sum(number * number for number in range(400_000))
    return max(1.0, (time.thread_time() - began) / _QUIET)


@dataclass
class Watch:
    """What was seen of an event loop.

    Attributes:
        longest: the seconds of processor time that this process has used at most while the loop
            was ready to go on and did not. Of the loop's own thread, or of another one that held
            the interpreter's lock.
    """

    longest: float = 0.0

    @property
    def is_quick(self) -> bool:
        """Whether it was never kept for longer than 100 ms, on a quiet machine."""
        return self.longest <= MOST_SECONDS or self.longest <= MOST_SECONDS * _slowness()

    def assert_quick(self) -> None:
        """Fail if it was kept for longer."""
        assert self.is_quick, f"the event loop was kept for {self.longest * 1000:.0f} ms"


def is_slow(function: Callable[..., Any], *given: Any, most: float = MOST_SECONDS) -> bool:
    """Tell whether a call takes more than so many seconds of processor time, twice.

    Whether it returns or refuses what it is given makes no difference.
    """

    def once() -> bool:
        began = time.thread_time()
        with contextlib.suppress(ValueError, RecursionError, MemoryError, SyntaxError, OutputError):
            function(*given)
        return time.thread_time() - began > most

    return once() and once()


@contextlib.asynccontextmanager
async def watched() -> AsyncIterator[Watch]:
    """Watch the running loop while the body does something."""
    watch = Watch()

    async def tick() -> None:
        while True:
            before = time.process_time()
            await asyncio.sleep(_TICK)
            watch.longest = max(watch.longest, time.process_time() - before)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(2 * _TICK)  # so that it has begun
    try:
        yield watch
    finally:
        await asyncio.sleep(2 * _TICK)  # so that it sees what the body did last
        ticking.cancel()
