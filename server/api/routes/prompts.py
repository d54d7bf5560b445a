"""Prompts: versions and releases."""

from typing import Annotated, get_args

from fastapi import APIRouter, Path, Query, Response

from selfheal.db import prompts
from selfheal.db.types import Agent
from selfheal.optimizer.text.diffs import unified_diff
from selfheal.server.api.errors import documented
from selfheal.server.api.routing import ConnectionDep, StrictRoute
from selfheal.server.api.schemas.prompts import (
    ActivateBody,
    DiffAnswer,
    PromptAnswer,
    PromptBody,
    ReleaseAnswer,
    RollbackBody,
)
from selfheal.server.api.streaming import set_next_page
from selfheal.server.auth.admission import READER, Author

router = APIRouter(tags=["prompts"], route_class=StrictRoute)

AgentName = Annotated[Agent, Path(description="The agent: manager, worker or evaluator")]
Version = Annotated[int, Query(ge=1, le=2**31 - 1)]


@router.get("/prompts", dependencies=[READER], responses=documented(401, 403))
async def list_prompts(connection: ConnectionDep) -> list[PromptAnswer]:
    """Show the live prompt of each agent."""
    return [
        PromptAnswer.model_validate(await prompts.released(connection, agent))
        for agent in get_args(Agent)
    ]


@router.get("/prompts/{agent}", dependencies=[READER], responses=documented(401, 403, 422))
async def get_prompt(agent: AgentName, connection: ConnectionDep) -> PromptAnswer:
    """Show an agent's live prompt."""
    return PromptAnswer.model_validate(await prompts.released(connection, agent))


@router.get("/prompts/{agent}/versions", dependencies=[READER], responses=documented(401, 403, 422))
async def list_versions(
    agent: AgentName,
    connection: ConnectionDep,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number to return")] = 1000,
    offset: Annotated[int, Query(ge=0, le=2**31, description="Number to skip")] = 0,
) -> list[PromptAnswer]:
    """List an agent's versions, newest first."""
    found = await prompts.listed(connection, agent, limit, offset)
    set_next_page(response, found, offset + len(found.rows))
    return [PromptAnswer.model_validate(row) for row in found.rows]


@router.post(
    "/prompts/{agent}/versions", status_code=201, responses=documented(401, 403, 404, 409, 422, 413)
)
async def add_version(
    agent: AgentName, body: PromptBody, caller: Author, connection: ConnectionDep
) -> PromptAnswer:
    """Store a new version. It is not live until it is activated."""
    row = await prompts.add(
        connection, agent, body.text, author=caller.actor, parent=body.parent, note=body.note
    )
    return PromptAnswer.model_validate(row)


@router.get("/prompts/{agent}/releases", dependencies=[READER], responses=documented(401, 403, 422))
async def list_releases(agent: AgentName, connection: ConnectionDep) -> list[ReleaseAnswer]:
    """List an agent's releases, newest first: which version was live, since when, and why."""
    rows = await prompts.releases(connection, agent)
    return [ReleaseAnswer.model_validate(row) for row in rows]


@router.get(
    "/prompts/{agent}/diff", dependencies=[READER], responses=documented(401, 403, 404, 422)
)
async def diff_versions(
    agent: AgentName,
    connection: ConnectionDep,
    from_version: Annotated[Version, Query(alias="from", description="The older version")],
    to_version: Annotated[Version, Query(alias="to", description="The newer version")],
) -> DiffAnswer:
    """Show what changed between two versions."""
    older = await prompts.get(connection, agent, from_version)
    newer = await prompts.get(connection, agent, to_version)
    return DiffAnswer(
        agent=agent,
        from_version=from_version,
        to_version=to_version,
        diff=unified_diff(
            older.text, newer.text, f"{agent} {from_version}", f"{agent} {to_version}"
        ),
    )


@router.post("/prompts/{agent}/activate", responses=documented(401, 403, 404, 409, 422, 413))
async def activate(
    agent: AgentName, body: ActivateBody, caller: Author, connection: ConnectionDep
) -> ReleaseAnswer:
    """Make a version live. The next run uses it; runs in flight keep theirs.

    It is watched, and rolled back automatically if it performs worse than the one before, unless it
    is pinned.
    """
    head = await prompts.head(connection, agent)
    row = await prompts.release(
        connection,
        agent,
        body.version,
        after=head,
        action="activate",
        actor=caller.actor,
        note=body.note,
        terms=prompts.Terms(pinned=body.pin),
    )
    return ReleaseAnswer.model_validate(row)


@router.post("/prompts/{agent}/rollback", responses=documented(401, 403, 404, 409, 422, 413))
async def rollback(
    agent: AgentName, body: RollbackBody, caller: Author, connection: ConnectionDep
) -> ReleaseAnswer:
    """Make the version live that was live before the current one."""
    row = await prompts.rollback(connection, agent, actor=caller.actor, note=body.note)
    return ReleaseAnswer.model_validate(row)
