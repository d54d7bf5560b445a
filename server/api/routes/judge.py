"""The judge: what is known of it, and lifting its flag."""

from fastapi import APIRouter

from selfheal.optimizer.evaluation import judge_drift
from selfheal.server.api.errors import documented
from selfheal.server.api.routing import ConnectionDep, ServiceDep, StrictRoute
from selfheal.server.api.schemas.judge import AgreementAnswer, JudgeAnswer, LiftAnswer, LiftBody
from selfheal.server.auth.admission import ADMIN, Admin

router = APIRouter(tags=["judge"], route_class=StrictRoute)


@router.get("/judge", dependencies=[ADMIN], responses=documented(401, 403))
async def get_judge(service: ServiceDep) -> JudgeAnswer:
    """Show what is known of the judge, without asking it."""
    model = service.settings.judge_model_name
    found = (await judge_drift.known(service.database, model)).finding
    anchor, flag = found["usual"], found["flag"]
    return JudgeAnswer(
        model=model,
        prompt_version=found["prompt_version"],
        anchor=AgreementAnswer(agreed=anchor[0], asked=anchor[1]) if anchor else None,
        anchor_checks=len(found["compared"]),
        flagged=flag is not None,
        flag=AgreementAnswer(agreed=flag["agreed"], asked=flag["asked"]) if flag else None,
    )


@router.post("/judge/lift", responses=documented(401, 403, 404, 413, 422))
async def lift(
    body: LiftBody, caller: Admin, service: ServiceDep, connection: ConnectionDep
) -> LiftAnswer:
    """Lift the judge's flag: accept the judge as it is now. Its anchor starts anew."""
    row = await judge_drift.lift(
        connection, service.settings.judge_model_name, actor=caller.actor, reason=body.reason
    )
    return LiftAnswer.model_validate(row)
