"""What LangGraph's wire has and this server has not: said clearly, not with a 404."""

from typing import Annotated

from fastapi import APIRouter, Path

from server.auth import Reader
from server.errors import NotBuiltError, documented
from server.routes.strict import StrictRoute

router = APIRouter(tags=["not built"], route_class=StrictRoute)

Named = Annotated[str, Path(description="Of no consequence: this is refused for all")]

_NO = documented(401, 403, 422, 501)


@router.put("/store/items", responses=_NO)
@router.get("/store/items", responses=_NO)
@router.delete("/store/items", responses=_NO)
@router.post("/store/items/search", responses=_NO)
@router.post("/store/namespaces", responses=_NO)
async def use_store(caller: Reader) -> None:
    """Refuse: these graphs use no store."""
    raise NotBuiltError("there is no store: these graphs keep nothing beside their threads")


@router.get("/threads/{thread_id}/stream", responses=_NO)
async def follow_thread(thread_id: Named, caller: Reader) -> None:
    """Refuse: follow a thread's runs."""
    raise NotBuiltError("a thread cannot be followed as such: join the stream of its run")
