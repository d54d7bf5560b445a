"""Verdicts on programs: the evaluator's role."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from selfheal.server.api.errors import documented
from selfheal.server.api.schemas.evaluate import EvaluateBody
from selfheal.server.api.schemas.runs import EvaluationAnswer
from selfheal.server.api.strict_json import StrictRoute
from selfheal.server.auth.role_key import RoleOnly, tell_cost
from selfheal.server.observability.langsmith import traced_role
from selfheal.server.roles.evaluator import Evaluating

router = APIRouter(tags=["evaluator"], route_class=StrictRoute)


def _evaluating(request: Request) -> Evaluating:
    evaluating: Evaluating = request.app.state.evaluating
    return evaluating


@router.post("/evaluate", responses=documented(401, 403, 413, 421, 422))
async def evaluate(
    request: Request,
    body: EvaluateBody,
    role: RoleOnly,
    evaluating: Annotated[Evaluating, Depends(_evaluating)],
    response: Response,
) -> EvaluationAnswer:
    """Run a program in the sandbox and judge it.

    Answered with 503 where sandbox or judge could not do their part: that is neither a pass nor
    a fail.
    """
    prompt = body.judge_prompt.judge_prompt() if body.judge_prompt else None
    work = body.work()
    asked = {"request": work.request, "plan": work.plan, "code": work.code}
    with traced_role("evaluator", request.headers, asked) as answered:
        verdict, usage = await evaluating.evaluate(work, prompt)
        answered.update(verdict)
    tell_cost(response, usage)
    return EvaluationAnswer.model_validate(verdict)
