"""What LangGraph's wire has and this server has not: said clearly, not with a 404."""

from typing import Annotated

from fastapi import APIRouter, Path

from selfheal.server.api.errors import NotBuiltError, documented
from selfheal.server.api.strict_json import StrictRoute
from selfheal.server.auth.api_keys import Reader

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


@router.post("/threads/prune", responses=_NO)
async def prune_threads(caller: Reader) -> None:
    """Refuse: threads are deleted one by one, and old states by themselves."""
    raise NotBuiltError("threads are not pruned on request: delete them one by one")


@router.patch("/threads/{thread_id}/state", responses=_NO)
async def patch_state(thread_id: Named, caller: Reader) -> None:
    """Refuse: the metadata of states is the graph's."""
    raise NotBuiltError("a state's metadata cannot be changed: note it in the thread's metadata")


@router.get("/runs/{run_id}/stream", responses=_NO)
async def follow_run(run_id: Named, caller: Reader) -> None:
    """Refuse: name the thread."""
    raise NotBuiltError("name the run's thread too: GET /threads/{thread_id}/runs/{run_id}/stream")


@router.get("/threads/{thread_id}/stream", responses=_NO)
@router.post("/threads/{thread_id}/commands", responses=_NO)
@router.post("/threads/{thread_id}/stream/events", responses=_NO)
async def follow_thread(thread_id: Named, caller: Reader) -> None:
    """Refuse: follow a thread's runs."""
    raise NotBuiltError("a thread cannot be followed as such: join the stream of its run")
