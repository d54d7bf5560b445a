"""Roles that run as services of their own: the worker and the evaluator, called over HTTP.

Only connecting is tried again: what reached the other side may have cost a model call already.
What calls cost comes back in headers, so that it is counted where the run is logged.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
from langsmith.run_helpers import get_current_run_tree
from pydantic import SecretStr

from selfheal.app.errors import (
    EvaluationError,
    InfrastructureError,
    ModelUnavailableError,
    OutputError,
    RequestError,
    RunError,
)
from selfheal.app.llm.usage import Usage, count
from selfheal.app.tracing import tag
from selfheal.graph.evaluator import Evaluator, Work
from selfheal.graph.sandbox.protocol import (
    DEFAULT_LIMITS,
    Execution,
    Limits,
    Program,
    SandboxUnavailable,
)
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
    """What the worker's role wrote: the code, under which prompt version, by which model."""

    code: str
    explanation: str
    prompt_version: int
    model: str
    usage: Usage


class Role:
    """A role's service."""

    def __init__(self, name: str, client: httpx.AsyncClient) -> None:
        self._name = name
        self._client = client

    async def ask(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        """Return the role's good answer.

        Raises:
            RunError: it failed, of the class that it says, or it cannot be reached.
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
            count(**_counted(answer))
            return answer
        raise self._failure(answer)

    def _failure(self, answer: httpx.Response) -> RunError:
        try:
            said = answer.json()
            detail, outcome = str(said["detail"]), said.get("outcome")
        except (ValueError, KeyError, TypeError, AttributeError):
            detail, outcome = f"it answered {answer.status_code}", None
        error = _ERRORS.get(outcome or "", InfrastructureError)(f"the {self._name}: {detail}")
        version = answer.headers.get("x-prompt-version", "")
        if version.isascii() and version.isdigit():
            error.prompt_versions[self._name] = int(version)
        return error


class RemoteWorker(Role):
    """The worker's role."""

    async def execute(self, state: State, assignment_key: str | None) -> Written:
        """Have code written under the prompt that is live for an assignment key, the thread.

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
        said = answer.json()
        usage = usage_of(answer)
        model = answer.headers.get(MODEL, "unknown")
        return Written(said["code"], said["explanation"], said["prompt_version"], model, usage)


@dataclass(frozen=True, slots=True)
class RemoteEvaluator(Evaluator):
    """The evaluator's role. Its model here is only for who asks the judge directly."""

    role: Role

    async def evaluate(self, work: Work, prompt: str) -> tuple[Evaluation, Usage]:
        """Return the verdict under a judge's prompt, and what it cost.

        Raises:
            RunError: the evaluator could not do its part, or cannot be reached.
        """
        body = {
            "request": work.request,
            "plan": work.plan,
            "code": work.code,
            "judge_prompt": {"version": 1, "text": prompt},
        }
        answer = await self.role.ask("/evaluate", body)
        evaluation: Evaluation = answer.json()
        return evaluation, usage_of(answer)


class ElsewhereSandbox:
    """Stands for the sandbox of the evaluator's role: nothing is run in this process."""

    name = "elsewhere"

    async def run(self, program: Program, limits: Limits = DEFAULT_LIMITS) -> Execution:
        """Refuse."""
        raise SandboxUnavailable("programs are run by the evaluator's role")

    async def aclose(self) -> None:
        """Do nothing."""


def _counted(answer: httpx.Response) -> dict[str, int]:
    headers = answer.headers
    names = {"calls": CALLS, "input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS}
    return {key: int(headers.get(name, "0")) for key, name in names.items()}


def usage_of(answer: httpx.Response) -> Usage:
    """Return what an answer cost."""
    counted = _counted(answer)
    return Usage(
        calls=counted["calls"],
        input_tokens=counted["input_tokens"],
        output_tokens=counted["output_tokens"],
    )


@asynccontextmanager
async def calling(
    url: str, key: SecretStr | None, seconds: float
) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client of a role's service, which gets so many seconds for an answer."""
    headers = {"x-api-key": key.get_secret_value()} if key else {}
    transport = httpx.AsyncHTTPTransport(retries=_CONNECTS)
    limits = httpx.Timeout(seconds, connect=5.0)
    async with httpx.AsyncClient(
        base_url=url, headers=headers, transport=transport, timeout=limits
    ) as client:
        yield client
