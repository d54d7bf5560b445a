"""How long the event loop is kept from its work, measured so that a busy machine changes little."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

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
        slowness: how many times slower than a quiet machine this one is.
    """

    longest: float = 0.0
    slowness: float = 1.0

    @property
    def is_quick(self) -> bool:
        """Whether it was never kept for longer than 100 ms, on a quiet machine."""
        return self.longest <= MOST_SECONDS * self.slowness

    def assert_quick(self) -> None:
        """Fail if it was kept for longer."""
        shown = f"{self.longest * 1000:.0f} ms, on a machine {self.slowness:.1f} times slower"
        assert self.is_quick, f"the event loop was kept for {shown}"


@contextlib.asynccontextmanager
async def watched() -> AsyncIterator[Watch]:
    """Watch the running loop while the body does something."""
    watch = Watch(slowness=_slowness())

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
