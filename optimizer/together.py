"""Doing several things at once, and leaving none of them behind."""

import asyncio
from typing import Any


async def all_of(*work: Any) -> list[Any]:
    """Gather, but let every one end before an exception goes on: none may write afterwards."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
