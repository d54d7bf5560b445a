"""Endpoints of LangGraph's API that are not supported: answered with 501, not 404."""

from typing import Annotated

from fastapi import APIRouter, Path

from selfheal.server.api.errors import UnsupportedError, documented
from selfheal.server.api.routing import StrictRoute
from selfheal.server.auth.admission import Reader

router = APIRouter(tags=["not supported"], route_class=StrictRoute)

AnyId = Annotated[str, Path(description="Not used: the answer is always 501")]

_NO = documented(401, 403, 422, 501)


@router.put("/store/items", summary="Put Store Item", responses=_NO)
@router.get("/store/items", summary="Get Store Item", responses=_NO)
@router.delete("/store/items", summary="Delete Store Item", responses=_NO)
@router.post("/store/items/search", summary="Search Store Items", responses=_NO)
@router.post("/store/namespaces", summary="List Store Namespaces", responses=_NO)
async def use_store(caller: Reader) -> None:
    """Not supported: these graphs use no store."""
    raise UnsupportedError("there is no store: these graphs keep their state in threads only")


@router.post("/threads/prune", responses=_NO)
async def prune_threads(caller: Reader) -> None:
    """Not supported: delete threads one by one; old states are deleted automatically."""
    raise UnsupportedError("threads are not pruned on request: delete them one by one")


@router.patch("/threads/{thread_id}/state", responses=_NO)
async def patch_state(thread_id: AnyId, caller: Reader) -> None:
    """Not supported: only the graph writes the metadata of states."""
    raise UnsupportedError("a state's metadata cannot be changed: use the thread's metadata")


@router.get("/runs/{run_id}/stream", summary="Stream Run", responses=_NO)
async def follow_run(run_id: AnyId, caller: Reader) -> None:
    """Not supported: use the path with the thread."""
    raise UnsupportedError(
        "the path needs the run's thread: GET /threads/{thread_id}/runs/{run_id}/stream"
    )


@router.get("/threads/{thread_id}/stream", summary="Stream Thread", responses=_NO)
@router.post("/threads/{thread_id}/commands", summary="Send Thread Command", responses=_NO)
@router.post("/threads/{thread_id}/stream/events", summary="Stream Thread Events", responses=_NO)
async def follow_thread(thread_id: AnyId, caller: Reader) -> None:
    """Not supported: stream a thread's runs."""
    raise UnsupportedError("a thread has no stream: join the stream of its run")
