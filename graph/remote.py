"""Clients of the roles that run as services of their own: the worker and the evaluator.

Only connecting is retried: a request that arrived may already have cost a model call. The usage of
a role's model calls comes back in headers and is counted in the run that caused it.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
from langsmith.run_helpers import get_current_run_tree

from selfheal.app.errors import (
    EvaluationError,
    InfrastructureError,
    ModelUnavailableError,
    OutputError,
    RequestError,
    RunError,
)
from selfheal.app.llm.client import Model
from selfheal.app.llm.models import models_for, open_model
from selfheal.app.llm.usage import Usage, add_to_meter
from selfheal.app.tracing import tag
from selfheal.graph.evaluator import JudgePrompt, Work
from selfheal.graph.sandbox.packages import Packages, configured_packages
from selfheal.graph.settings import AgentSettings
from selfheal.graph.state import Evaluation, State

CALLS: Final = "x-model-calls"
INPUT_TOKENS: Final = "x-input-tokens"
OUTPUT_TOKENS: Final = "x-output-tokens"
MODEL: Final = "x-model"
PURPOSE: Final = "x-selfheal-purpose"  # `trial`, for the tag of a role's traces

_CONNECTS: Final = 3
_ERRORS: Final[dict[str, type[RunError]]] = {
    each.outcome: each
    for each in (
        EvaluationError,
        InfrastructureError,
        ModelUnavailableError,
        OutputError,
        RequestError,
    )
}


@dataclass(frozen=True, slots=True)
class Written:
    """The answer of the worker's role: the code, its prompt version, its model and its usage."""

    code: str
    explanation: str
    prompt_version: int
    model: str
    usage: Usage


class Role:
    """A client of a role's service.

    Args:
        name: the role's name, for error messages.
        client: an HTTP client with the service's base URL.
    """

    def __init__(self, name: str, client: httpx.AsyncClient) -> None:
        self._name = name
        self._client = client

    async def ask(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        """Call the role and return its answer, whose status is 200.

        Args:
            path: of the endpoint.
            body: as JSON.

        Raises:
            InfrastructureError: the role cannot be reached, or fails without a known outcome.
            RunError: the role failed; the class is that of the outcome which it reports.
        """
        tree = get_current_run_tree()
        headers = dict(tree.to_headers()) if tree else {}
        if tree and tag("trial") in (tree.tags or ()):
            headers[PURPOSE] = "trial"
        try:
            answer = await self._client.post(path, json=body, headers=headers)
        except httpx.HTTPError as error:
            what = type(error).__name__
            raise InfrastructureError(f"the {self._name} cannot be reached: {what}") from error
        if answer.status_code == httpx.codes.OK:
            add_to_meter(**_counted(answer))
            return answer
        raise self._failure(answer)

    def _failure(self, answer: httpx.Response) -> RunError:
        try:
            content = answer.json()
            detail, outcome = str(content["detail"]), content.get("outcome")
            unusable = content.get("unusable") is True
        except (ValueError, KeyError, TypeError, AttributeError):
            detail, outcome, unusable = f"it answered {answer.status_code}", None, False
        error = _ERRORS.get(outcome or "", InfrastructureError)(f"the {self._name}: {detail}")
        if unusable:
            error.unusable, error.unusable_agent = True, self._name
        version = answer.headers.get("x-prompt-version", "")
        if version.isascii() and version.isdigit():
            error.prompt_versions[self._name] = int(version)
        return error


class RemoteWorker(Role):
    """A client of the worker's role."""

    async def execute(self, state: State, assignment_key: str | None) -> Written:
        """Have code written under the live prompt.

        Args:
            state: request, examples and plan.
            assignment_key: decides on which side of a canary the call is; the thread's id.

        Raises:
            RunError: the worker failed, or cannot be reached.
        """
        body: dict[str, Any] = {
            "request": state["request"],
            "examples": state.get("examples", []),
            "plan": state.get("plan"),
            "assignment_key": assignment_key,
        }
        answer = await self.ask("/execute", body)
        content = answer.json()
        return Written(
            code=content["code"],
            explanation=content["explanation"],
            prompt_version=content["prompt_version"],
            model=answer.headers.get(MODEL, "unknown"),
            usage=usage_of(answer),
        )


@dataclass(frozen=True, slots=True)
class RemoteEvaluator:
    """An evaluator that calls the evaluator's role; only `model` is called from this process."""

    role: Role
    model: Model
    packages: Packages

    @property
    def sandbox_name(self) -> str:
        """That the sandbox is in another process."""
        return "remote"

    async def evaluate(self, work: Work, prompt: JudgePrompt) -> tuple[Evaluation, Usage]:
        """Return the verdict on a program and the usage of the judge's calls.

        Raises:
            RunError: the evaluator failed, or cannot be reached.
        """
        body = {
            "request": work.request,
            "plan": work.plan,
            "code": work.code,
            "judge_prompt": {"version": prompt.version, "text": prompt.text},
        }
        answer = await self.role.ask("/evaluate", body)
        evaluation: Evaluation = answer.json()
        return evaluation, usage_of(answer)


def _counted(answer: httpx.Response) -> dict[str, int]:
    headers = answer.headers
    names = {"calls": CALLS, "input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS}
    return {key: int(headers.get(name, "0")) for key, name in names.items()}


def usage_of(answer: httpx.Response) -> Usage:
    """Return the usage that an answer's headers report."""
    counted = _counted(answer)
    return Usage(
        calls=counted["calls"],
        input_tokens=counted["input_tokens"],
        output_tokens=counted["output_tokens"],
    )


@asynccontextmanager
async def open_role(settings: AgentSettings, url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client of a role's service; a call may take as long as a run.

    Args:
        settings: give the role key and the time limit.
        url: of the service.
    """
    key = settings.role_key
    async with httpx.AsyncClient(
        base_url=url,
        headers={"x-api-key": key.get_secret_value()} if key else {},
        transport=httpx.AsyncHTTPTransport(retries=_CONNECTS),
        timeout=httpx.Timeout(settings.run_timeout_seconds, connect=5.0),
    ) as client:
        yield client


@asynccontextmanager
async def open_remote_evaluator(
    settings: AgentSettings, url: str
) -> AsyncIterator[RemoteEvaluator]:
    """Open an evaluator that calls the evaluator's role.

    Args:
        settings: of the judge's model, the packages and the role key.
        url: of the role's service.

    Raises:
        SettingsError: the judge's model cannot be called with these settings.
    """
    async with (
        open_role(settings, url) as client,
        open_model(settings, models_for(settings, "judge")) as model,
    ):
        packages = configured_packages(settings)
        yield RemoteEvaluator(Role("evaluator", client), model, packages)
