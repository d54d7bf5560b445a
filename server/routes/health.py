"""Whether the process lives, and whether it can do its work."""

from fastapi import APIRouter, Response

from db.errors import DatabaseError
from server.errors import documented
from server.routes.given import GivenService
from server.wire.base import Health

router = APIRouter(tags=["health"])


@router.get("/health/live")
async def live() -> Health:
    """Answer as long as the process can answer at all."""
    return Health(status="ok")


@router.get(
    "/health/ready",
    responses=documented() | {503: {"model": Health, "description": "Not ready"}},
)
async def ready(service: GivenService, response: Response) -> Health:
    """Answer ok while the database can be reached."""
    try:
        async with service.database.connection() as connection:
            await connection.execute("SELECT 1")
    except DatabaseError:
        response.status_code = 503
        return Health(status="unavailable", detail="the database cannot be reached")
    return Health(status="ok")
