"""Whether the process lives, and whether it can do its work."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import APIRouter, Request, Response

from selfheal.db.errors import DatabaseError, DatabaseUnavailableError
from selfheal.server.api.errors import documented
from selfheal.server.api.schemas.base import Health
from selfheal.server.api.strict_json import StrictRoute

logger = logging.getLogger(__name__)

router = APIRouter(tags=["health"], route_class=StrictRoute)

_PATIENCE: Final = 1.5  # seconds

Check = Callable[[], Awaitable[None]]


class Readiness:
    """Tells whether a process can do its work, within 1.5 seconds.

    A check that takes longer is left to end by itself, since cancelling a statement on a frozen
    server takes seconds. Until then later questions wait for that one, so there is never a second.

    Args:
        check: does what all of the process's work needs; raises a DatabaseError if it cannot.
    """

    def __init__(self, check: Check) -> None:
        self._check = check
        self._running: asyncio.Task[str] | None = None

    async def problem(self) -> str:
        """Return why the work cannot be done now, or an empty text."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._problem())
        done, _ = await asyncio.wait({self._running}, timeout=_PATIENCE)
        return self._running.result() if done else f"no answer within {_PATIENCE} s"

    async def _problem(self) -> str:
        try:
            await self._check()
        except DatabaseUnavailableError as error:
            return error.summary
        except DatabaseError as error:
            logger.warning("not ready: %s", error)
            return "the database does not work; the log has it"
        return ""


@router.get("/health/live", responses=documented(422))
async def live() -> Health:
    """Answer as long as the process can answer at all."""
    return Health(status="ok")


@router.get(
    "/health/ready",
    responses=documented(422) | {503: {"model": Health, "description": "Not ready"}},
)
async def ready(request: Request, response: Response) -> Health:
    """Answer ok while this process can do its work: write to the database, if it needs one."""
    readiness: Readiness = request.app.state.readiness
    if problem := await readiness.problem():
        response.status_code = 503
        return Health(status="unavailable", detail=problem)
    return Health(status="ok")
