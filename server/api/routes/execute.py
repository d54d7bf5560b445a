"""Programs on request: the worker's role."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from selfheal.server.api.errors import documented
from selfheal.server.api.schemas.execute import ExecuteAnswer, ExecuteBody
from selfheal.server.api.strict_json import StrictRoute
from selfheal.server.auth.role_key import RoleOnly, tell_cost
from selfheal.server.observability.langsmith import traced_role
from selfheal.server.roles.worker import Writing

router = APIRouter(tags=["worker"], route_class=StrictRoute)


def _writing(request: Request) -> Writing:
    writing: Writing = request.app.state.writing
    return writing


@router.post("/execute", responses=documented(401, 403, 404, 413, 421, 422, 502))
async def execute(
    request: Request,
    body: ExecuteBody,
    role: RoleOnly,
    writing: Annotated[Writing, Depends(_writing)],
    response: Response,
) -> ExecuteAnswer:
    """Write a program under the prompt that is live, or under the version that is named.

    Answered with 502 where the model could not do its part; the class of it is told.
    """
    asked = body.state()
    with traced_role("worker", request.headers, asked) as answered:
        given = await writing.write(asked, body.assignment_key, body.prompt_version)
        answered.update(code=given["code"], prompt_versions=given["prompt_versions"])
    tell_cost(response, given["usage"]["worker"], given["model"])
    version = given["prompt_versions"]["worker"]
    return ExecuteAnswer(
        code=given["code"], explanation=given["explanation"], prompt_version=version
    )
