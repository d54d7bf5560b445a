"""What LangGraph's wire has and this server has not: said clearly, not with a 404."""

from fastapi import APIRouter

from server.auth import Reader
from server.errors import NotBuiltError, documented

router = APIRouter(tags=["not built"])

_NO = documented(401, 403, 501)


@router.put("/store/items", responses=_NO)
@router.get("/store/items", responses=_NO)
@router.delete("/store/items", responses=_NO)
@router.post("/store/items/search", responses=_NO)
@router.post("/store/namespaces", responses=_NO)
async def use_store(caller: Reader) -> None:
    """Refuse: these graphs use no store."""
    raise NotBuiltError("there is no store: these graphs keep nothing beside their threads")


@router.post("/runs/crons", responses=_NO)
@router.post("/threads/{thread_id}/runs/crons", responses=_NO)
@router.post("/runs/crons/search", responses=_NO)
@router.post("/runs/crons/count", responses=_NO)
@router.get("/runs/crons/{cron_id}", responses=_NO)
@router.patch("/runs/crons/{cron_id}", responses=_NO)
@router.delete("/runs/crons/{cron_id}", responses=_NO)
async def use_crons(caller: Reader) -> None:
    """Refuse: runs are not repeated by this server."""
    raise NotBuiltError("there are no crons: use your platform's, such as Kubernetes' CronJob")


@router.get("/threads/{thread_id}/stream", responses=_NO)
async def follow_thread(caller: Reader) -> None:
    """Refuse: follow a thread's runs."""
    raise NotBuiltError("a thread cannot be followed as such: join the stream of its run")
