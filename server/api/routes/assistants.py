"""Assistants: the graphs that this server runs."""

from operator import attrgetter
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from selfheal.server.api.errors import UnsupportedError, documented
from selfheal.server.api.routing import StrictRoute
from selfheal.server.api.schemas.assistants import (
    AssistantAnswer,
    AssistantCount,
    AssistantSearch,
    AssistantVersions,
)
from selfheal.server.api.schemas.base import selected
from selfheal.server.assistants import ASSISTANTS, find_assistant, graph_of, schemas_of
from selfheal.server.auth.admission import Reader

router = APIRouter(tags=["assistants"], route_class=StrictRoute)

AssistantId = Annotated[str, Path(max_length=100, description="The name or id")]
_NO = documented(401, 403, 422, 501)
_FIXED = "assistants are the graphs of langgraph.json: they cannot be created or changed over HTTP"


@router.post("/assistants/search", responses=documented(401, 403, 413, 422))
async def search_assistants(body: AssistantSearch, caller: Reader) -> list[dict[str, Any]]:
    """List assistants."""
    found = _matching(body)
    if body.sort_by:
        found.sort(key=attrgetter(body.sort_by), reverse=body.sort_order != "asc")
    return [selected(each, body.select) for each in found[body.offset :][: body.limit]]


@router.post("/assistants/count", responses=documented(401, 403, 413, 422))
async def count_assistants(body: AssistantCount, caller: Reader) -> int:
    """Count assistants."""
    return len(_matching(body))


def _matching(selection: AssistantCount) -> list[AssistantAnswer]:
    every = [AssistantAnswer.of(each) for each in ASSISTANTS.values()]
    return [
        each
        for each in every
        if selection.graph_id in (None, each.graph_id)
        and (selection.name or "").lower() in each.name
        and (selection.metadata or {}).items() <= each.metadata.items()
    ]


@router.get("/assistants/{assistant_id}", responses=documented(401, 403, 404, 422))
async def get_assistant(assistant_id: AssistantId, caller: Reader) -> AssistantAnswer:
    """Show an assistant."""
    return AssistantAnswer.of(find_assistant(assistant_id))


@router.get("/assistants/{assistant_id}/graph", responses=documented(401, 403, 404, 422))
async def get_graph(
    assistant_id: AssistantId,
    caller: Reader,
    xray: Annotated[
        str | None, Query(max_length=10, description="No effect: there are no subgraphs")
    ] = None,
) -> dict[str, Any]:
    """Show an assistant's nodes and edges."""
    drawn: dict[str, Any] = graph_of(find_assistant(assistant_id).name).get_graph().to_json()
    return drawn


@router.get("/assistants/{assistant_id}/schemas", responses=documented(401, 403, 404, 422))
async def get_schemas(assistant_id: AssistantId, caller: Reader) -> dict[str, Any]:
    """Show the JSON schemas of an assistant's input, output and state."""
    return schemas_of(find_assistant(assistant_id).name)


@router.get("/assistants/{assistant_id}/subgraphs", responses=documented(401, 403, 404, 422))
@router.get(
    "/assistants/{assistant_id}/subgraphs/{namespace}", responses=documented(401, 403, 404, 422)
)
async def get_subgraphs(
    assistant_id: AssistantId,
    caller: Reader,
    recurse: Annotated[bool, Query(description="No effect: there are no subgraphs")] = False,
) -> dict[str, Any]:
    """Show an assistant's subgraphs, a list that is always empty."""
    find_assistant(assistant_id)
    return {}


@router.post("/assistants/{assistant_id}/versions", responses=documented(401, 403, 404, 413, 422))
async def list_versions(
    assistant_id: AssistantId, body: AssistantVersions, caller: Reader
) -> list[AssistantAnswer]:
    """List an assistant's versions: always one."""
    only = AssistantAnswer.of(find_assistant(assistant_id))
    fits = (body.metadata or {}).items() <= only.metadata.items()
    return [only][body.offset :] if fits else []


@router.post("/assistants", summary="Create Assistant", responses=_NO)
async def add_assistant(caller: Reader) -> None:
    """Not supported: assistants are the graphs of langgraph.json."""
    raise UnsupportedError(_FIXED)


@router.patch("/assistants/{assistant_id}", summary="Update Assistant", responses=_NO)
@router.delete("/assistants/{assistant_id}", summary="Delete Assistant", responses=_NO)
@router.post("/assistants/{assistant_id}/latest", summary="Set Latest Version", responses=_NO)
async def change_assistant(assistant_id: AssistantId, caller: Reader) -> None:
    """Not supported: assistants are the graphs of langgraph.json."""
    raise UnsupportedError(_FIXED)
