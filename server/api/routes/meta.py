"""What LangGraph's clients ask of any server."""

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter

from selfheal.server.api.errors import documented
from selfheal.server.api.strict_json import StrictRoute

router = APIRouter(tags=["health"], route_class=StrictRoute)


@router.get("/ok", responses=documented(422))
async def ok() -> dict[str, bool]:
    """Answer as long as the process can answer at all."""
    return {"ok": True}


@router.get("/info", responses=documented(422))
async def info() -> dict[str, Any]:
    """Tell what this server can do of LangGraph's wire."""
    flags = {"assistants": True, "crons": True, "langsmith": False, "store": False}
    return {"version": version("selfheal"), "flags": flags, "metadata": {}}
