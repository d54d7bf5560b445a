"""Whether the process lives, and whether it can do its work."""

from fastapi import APIRouter, Request, Response

from db.errors import DatabaseError
from server.errors import documented
from server.routes.strict import StrictRoute
from server.wire.base import Health

router = APIRouter(tags=["health"], route_class=StrictRoute)


@router.get("/health/live", responses=documented(422))
async def live() -> Health:
    """Answer as long as the process can answer at all."""
    return Health(status="ok")


@router.get(
    "/health/ready",
    responses=documented(422) | {503: {"model": Health, "description": "Not ready"}},
)
async def ready(request: Request, response: Response) -> Health:
    """Answer ok while the database, if this process needs one, can be reached."""
    try:
        await request.app.state.check()
    except DatabaseError:
        response.status_code = 503
        return Health(status="unavailable", detail="the database cannot be reached")
    return Health(status="ok")
