"""Making something in a thread, so that the event loop is not blocked, without losing it."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

Made = TypeVar("Made")


async def made(make: Callable[[], Made], unmake: Callable[[Made], None]) -> Made:
    """Return what `make` returns. Cancelled meanwhile, wait for it and undo it: threads go on."""
    making = asyncio.ensure_future(asyncio.to_thread(make))
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        unmake(await making)
        raise
