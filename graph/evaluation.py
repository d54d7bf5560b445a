"""Judging a program: facts first, then the judge, and one verdict."""

from dataclasses import dataclass

from graph.errors import EvaluationError, RequestError
from graph.judge import Judgement, case, judge
from graph.model import Model
from graph.rules.facts import Facts, establish
from graph.rules.lacking import lacking
from graph.sandbox.contract import Sandbox, SandboxUnavailable
from graph.sandbox.packages import Packages
from graph.state import Evaluation, Plan, Usage
from graph.verdict import Grading, verdict

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
