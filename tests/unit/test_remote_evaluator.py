"""The client of the evaluator's role."""

import json
from typing import Any, cast

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from selfheal.app.errors import EvaluationError, InfrastructureError, OutputError, RunError
from selfheal.app.llm.client import Model
from selfheal.graph.evaluator import Evaluator, JudgePrompt, Work
from selfheal.graph.remote import CALLS, RemoteEvaluator, Role
from selfheal.graph.sandbox.packages import NO_PACKAGES
from selfheal.graph.state import Plan
from selfheal.server.api import errors


async def test_it_sends_the_prompt_with_its_version_and_reports_the_usage() -> None:
    sent: list[dict[str, Any]] = []

    def reply(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        return httpx.Response(200, json={"passed": True}, headers={CALLS: "3"})

    plan = Plan(title="", requirements=[], signature="def f()", examples=[])
    transport = httpx.MockTransport(reply)
    async with httpx.AsyncClient(base_url="http://role", transport=transport) as client:
        evaluator: Evaluator = RemoteEvaluator(
            Role("evaluator", client), model=cast("Model", None), packages=NO_PACKAGES
        )
        work = Work("Write f.", plan, "def f(): ...")
        verdict, usage = await evaluator.evaluate(work, JudgePrompt(7, "Judge."))
    assert sent == [
        {
            "request": "Write f.",
            "plan": plan,
            "code": "def f(): ...",
            "judge_prompt": {"version": 7, "text": "Judge."},
        }
    ]
    assert {**verdict} == {"passed": True}
    assert usage["calls"] == 3
    assert evaluator.sandbox_name == "remote"


@pytest.mark.parametrize(
    ("error", "unusable"),
    [
        (EvaluationError("the judge could not answer", unusable=True), True),
        (EvaluationError("the sandbox failed"), False),
        (OutputError("no code"), True),
        (InfrastructureError("away"), False),
    ],
)
async def test_it_says_whether_an_answer_was_unusable(error: RunError, unusable: bool) -> None:
    """As the role's service answers, so that a prompt is not taken for an outage."""
    role = Starlette(exception_handlers={RunError: errors._run_failed})

    async def fail(_: Request) -> Response:
        raise error

    role.add_route("/evaluate", fail, methods=["POST"])
    transport = httpx.ASGITransport(app=role)
    async with httpx.AsyncClient(base_url="http://role", transport=transport) as client:
        with pytest.raises(type(error)) as raised:
            await Role("evaluator", client).ask("/evaluate", {})
    assert raised.value.unusable is unusable
    assert raised.value.unusable_agent == ("evaluator" if unusable else None)
