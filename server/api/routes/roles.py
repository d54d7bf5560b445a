"""The endpoints of the worker's and the evaluator's role."""

from fastapi import APIRouter, Request, Response

from selfheal.server.api.errors import documented
from selfheal.server.api.routing import StrictRoute
from selfheal.server.api.schemas.roles import EvaluateBody, ExecuteAnswer, ExecuteBody
from selfheal.server.api.schemas.runs import EvaluationAnswer
from selfheal.server.auth.admission import RoleOnly, set_usage_headers
from selfheal.server.observability.langsmith import traced_role
from selfheal.server.roles.services import EvaluatorService, WorkerService

worker_router = APIRouter(tags=["worker"], route_class=StrictRoute)
evaluator_router = APIRouter(tags=["evaluator"], route_class=StrictRoute)


@worker_router.post("/execute", responses=documented(401, 403, 404, 413, 421, 422, 502))
async def execute(
    request: Request, body: ExecuteBody, role: RoleOnly, response: Response
) -> ExecuteAnswer:
    """Write a program under the live prompt, or under the given prompt version.

    Answered with 502 and the outcome of the run if the model fails.
    """
    service: WorkerService = request.app.state.worker
    state = body.state()
    with traced_role("worker", request.headers, state) as outputs:
        written = await service.write(state, body.assignment_key, body.prompt_version)
        outputs.update(code=written["code"], prompt_versions=written["prompt_versions"])
    set_usage_headers(response, written["usage"]["worker"], written["model"])
    version = written["prompt_versions"]["worker"]
    return ExecuteAnswer(
        code=written["code"], explanation=written["explanation"], prompt_version=version
    )


@evaluator_router.post("/evaluate", responses=documented(401, 403, 413, 421, 422))
async def evaluate(
    request: Request, body: EvaluateBody, role: RoleOnly, response: Response
) -> EvaluationAnswer:
    """Run a program in the sandbox and judge it.

    Answered with 503 if sandbox or judge fail: that is neither a pass nor a fail.
    """
    service: EvaluatorService = request.app.state.evaluator
    prompt = body.judge_prompt.judge_prompt() if body.judge_prompt else None
    work = body.work()
    inputs = {"request": work.request, "plan": work.plan, "code": work.code}
    with traced_role("evaluator", request.headers, inputs) as outputs:
        verdict, usage = await service.evaluate(work, prompt)
        outputs.update(verdict)
    set_usage_headers(response, usage)
    return EvaluationAnswer.model_validate(verdict)
