"""Programs on request: the worker's role."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from server.errors import documented
from server.roles import RoleOnly, tell_cost
from server.routes.strict import StrictRoute
from server.tracing import traced_role
from server.wire.execute import ExecuteAnswer, ExecuteBody
from server.writing import Writing

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
