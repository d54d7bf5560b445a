"""Ending tasks that have to end."""

import asyncio
import logging
from typing import Any, Final

logger = logging.getLogger(__name__)

_PATIENCE: Final = 6.0  # seconds; longer than whatever our tasks have to do at their end


async def stop(*tasks: asyncio.Task[Any], patience: float = _PATIENCE) -> None:
    """Cancel tasks, again after a while if need be, until all have ended.

    Once may not be enough: on Python 3.11 `asyncio.wait_for` swallows a cancellation that comes
    together with what it waits for, and everywhere an error hides one that it is raised over. What
    goes on then would keep its process from ending.

    Args:
        patience: seconds that they are given to end before they are told again.
    """
    going = set(tasks)
    while going:
        for task in going:
            task.cancel()
        _, going = await asyncio.wait(going, timeout=patience)
        for task in going:
            at = [f"{each.f_code.co_qualname}:{each.f_lineno}" for each in task.get_stack()]
            logger.warning("told to stop, it goes on, and is told again: %s", " ".join(at))
    await asyncio.gather(*tasks, return_exceptions=True)
