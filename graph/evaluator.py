"""Evaluating a program: first the checks, then the judge, combined into one verdict."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from selfheal.app.errors import EvaluationError, RequestError
from selfheal.app.judge import Judgement, judge
from selfheal.app.llm.client import Model
from selfheal.app.llm.models import models_for, open_model
from selfheal.app.llm.untrusted import RULE, fence
from selfheal.app.llm.usage import Usage
from selfheal.graph.rules.checks import CheckResults, run_checks
from selfheal.graph.rules.unavailable import missing_resource
from selfheal.graph.sandbox.metered import MeteredSandbox
from selfheal.graph.sandbox.packages import Packages, configured_packages
from selfheal.graph.sandbox.protocol import Sandbox, SandboxUnavailable
from selfheal.graph.sandbox.selection import open_sandbox
from selfheal.graph.scoring import Grading, verdict
from selfheal.graph.settings import AgentSettings
from selfheal.graph.state import Evaluation, Plan

_NO_USAGE = Usage(calls=0, input_tokens=0, output_tokens=0)


@dataclass(frozen=True, slots=True)
class Work:
    """A program to evaluate, with the request and the plan that it was written for."""

    request: str
    plan: Plan
    code: str


@dataclass(frozen=True, slots=True)
class JudgePrompt:
    """The evaluator's prompt under which a program is judged."""

    version: int
    text: str


class Evaluator(Protocol):
    """Evaluates programs, in this process or in that of the evaluator's role."""

    @property
    def sandbox_name(self) -> str:
        """The sandbox's name, as in SELFHEAL_SANDBOX; `remote` if another process has it."""
        ...

    @property
    def model(self) -> Model:
        """The judge's model, for callers that need its opinion without a verdict."""
        ...

    @property
    def packages(self) -> Packages:
        """The packages that programs can import beside the standard library."""
        ...

    async def evaluate(self, work: Work, prompt: JudgePrompt) -> tuple[Evaluation, Usage]:
        """Return the verdict on a program and the usage of the judge's calls.

        Raises:
            EvaluationError: the sandbox or the judge failed; neither a pass nor a fail.
            RequestError: the program failed because the sandbox lacks what the request asks for.
        """
        ...


@dataclass(frozen=True, slots=True)
class LocalEvaluator:
    """Evaluates programs in this process: a sandbox, the judge's model, and how both are scored."""

    sandbox: Sandbox
    model: Model
    grading: Grading
    packages: Packages

    @property
    def sandbox_name(self) -> str:
        """The sandbox's name, as in SELFHEAL_SANDBOX."""
        return self.sandbox.name

    async def evaluate(self, work: Work, prompt: JudgePrompt) -> tuple[Evaluation, Usage]:
        """Return the verdict on a program and the usage of the judge's calls.

        Raises:
            EvaluationError: the sandbox or the judge failed; neither a pass nor a fail.
            RequestError: the program failed because the sandbox lacks what the request asks for.
        """
        results = await self._check(work)
        if lack := missing_resource(work.request, work.plan, work.code, results, self.packages):
            raise RequestError(lack)
        judgement = None if results.vetoes else await self._judge(work, prompt.text, results)
        return verdict(
            results, judgement, self.grading
        ), judgement.usage if judgement else _NO_USAGE

    async def _check(self, work: Work) -> CheckResults:
        try:
            return await run_checks(work.code, work.plan, self.sandbox)
        except SandboxUnavailable as error:
            raise EvaluationError(f"the sandbox failed: {error}") from error

    async def _judge(self, work: Work, prompt: str, results: CheckResults) -> Judgement:
        return await judge(
            self.model,
            prompt,
            judge_message(work.request, work.plan, work.code),
            lambda llm_score: self.grading.deciding(results, llm_score),
            self.grading.pass_threshold,
        )


@asynccontextmanager
async def open_evaluator(settings: AgentSettings) -> AsyncIterator[LocalEvaluator]:
    """Open an evaluator in this process. It needs no database and no key but the judge's.

    Raises:
        SettingsError: the judge's model cannot be called with these settings.
        SandboxUnavailable: the configured sandbox does not work on this machine.
    """
    packages = configured_packages(settings)
    async with (
        open_sandbox(settings.sandbox, packages) as sandbox,
        open_model(settings, models_for(settings, "judge")) as model,
    ):
        grading = Grading(settings.rule_weight, settings.pass_threshold)
        yield LocalEvaluator(MeteredSandbox(sandbox), model, grading, packages)


def judge_message(request: str, plan: Plan, code: str) -> str:
    """Return the judge's message about a program, each untrusted text between its own marks."""
    parts = (fence("request", request), fence("plan", json.dumps(plan, indent=1)))
    return "\n\n".join((RULE, *parts, fence("code", code)))
