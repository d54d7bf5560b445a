"""Judging a program: facts first, then the judge, and one verdict."""

import json
from dataclasses import dataclass

from selfheal.app.errors import EvaluationError, RequestError
from selfheal.app.judge import Judgement, judge
from selfheal.app.llm.client import Model
from selfheal.app.llm.untrusted import RULE, fence
from selfheal.app.llm.usage import Usage
from selfheal.graph.rules.checks import Facts, establish
from selfheal.graph.rules.unavailable import lacking
from selfheal.graph.sandbox.packages import Packages
from selfheal.graph.sandbox.protocol import Sandbox, SandboxUnavailable
from selfheal.graph.scoring import Grading, verdict
from selfheal.graph.state import Evaluation, Plan

_UNASKED = Usage(calls=0, input_tokens=0, output_tokens=0)


@dataclass(frozen=True, slots=True)
class Work:
    """What is judged."""

    request: str
    plan: Plan
    code: str


@dataclass(frozen=True, slots=True)
class Evaluator:
    """What a verdict takes: a sandbox, a model that judges, and how both make one score.

    `packages` are what the sandbox has beside the standard library.
    """

    sandbox: Sandbox
    model: Model
    grading: Grading
    packages: Packages

    async def evaluate(self, work: Work, prompt: str) -> tuple[Evaluation, Usage]:
        """Return the verdict under a judge's prompt, and what it cost.

        Raises:
            EvaluationError: the sandbox or the judge could not do its part. That is neither a
                pass nor a fail.
            RequestError: the program failed for want of something that the request asks for, and
                that the sandbox does not have.
        """
        facts = await self._establish(work)
        if lack := lacking(work.request, work.plan, work.code, facts, self.packages):
            raise RequestError(lack)
        judgement = None if facts.vetoes else await self._judge(work, prompt, facts)
        usage = judgement.usage if judgement else _UNASKED
        return verdict(facts, judgement, self.grading), usage

    async def _establish(self, work: Work) -> Facts:
        try:
            return await establish(work.code, work.plan, self.sandbox)
        except SandboxUnavailable as error:
            raise EvaluationError(f"the sandbox failed: {error}") from error

    async def _judge(self, work: Work, prompt: str, facts: Facts) -> Judgement:
        return await judge(
            self.model,
            prompt,
            case(work.request, work.plan, work.code),
            lambda llm_score: self.grading.deciding(facts, llm_score),
            self.grading.pass_threshold,
        )


def case(request: str, plan: Plan, code: str) -> str:
    """Return what is judged as a message, every stranger's text in a fence of its own."""
    parts = (fence("request", request), fence("plan", json.dumps(plan, indent=1)))
    return "\n\n".join((RULE, *parts, fence("code", code)))
