"""Liveness, readiness, and what the server can do."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from selfheal.db.errors import DatabaseError, DatabaseUnavailableError
from selfheal.server.api.errors import documented
from selfheal.server.api.routing import StrictRoute
from selfheal.server.api.schemas.base import Health

logger = logging.getLogger(__name__)

router = APIRouter(tags=["health"], route_class=StrictRoute)
info_router = APIRouter(tags=["health"], route_class=StrictRoute)

_CHECK_SECONDS: Final = 1.5

Check = Callable[[], Awaitable[None]]


class Readiness:
    """Finds out whether a process can do its work, within 1.5 seconds.

    A check that takes longer is not cancelled, since cancelling a statement on a frozen server
    takes seconds. Until it ends later requests wait for it, so there is never a second one.

    Args:
        check: does what all of the process's work needs; raises a DatabaseError if it cannot.
    """

    def __init__(self, check: Check) -> None:
        self._check = check
        self._running: asyncio.Task[str] | None = None

    async def problem(self) -> str:
        """Return why the work cannot be done now, or an empty string."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._problem())
        done, _ = await asyncio.wait({self._running}, timeout=_CHECK_SECONDS)
        return self._running.result() if done else f"no answer within {_CHECK_SECONDS} s"

    async def _problem(self) -> str:
        try:
            await self._check()
        except DatabaseUnavailableError as error:
            return error.summary
        except DatabaseError as error:
            logger.warning("not ready: %s", error)
            return "the database does not work; see the log"
        return ""


@router.get("/health/live", responses=documented(422))
async def live() -> Health:
    """Liveness check: answer while the process can answer at all."""
    return Health(status="ok")


@router.get(
    "/health/ready",
    responses=documented(422) | {503: {"model": Health, "description": "Not ready"}},
)
async def ready(request: Request, response: Response) -> Health:
    """Readiness check: the process can do its work; if it needs a database, can write to it."""
    readiness: Readiness = request.app.state.readiness
    if problem := await readiness.problem():
        response.status_code = 503
        return Health(status="unavailable", detail=problem)
    return Health(status="ok")


@info_router.get("/ok", responses=documented(422))
async def ok() -> dict[str, bool]:
    """Liveness check: answer while the process can answer at all."""
    return {"ok": True}


@info_router.get("/info", responses=documented(422))
async def info() -> dict[str, Any]:
    """Show the version, and which parts of LangGraph's API are supported."""
    flags = {"assistants": True, "crons": True, "langsmith": False, "store": False}
    return {"version": version("selfheal"), "flags": flags, "metadata": {}}
