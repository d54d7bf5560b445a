"""Sends the demo's requests to the service over HTTP, and measures the results."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import httpx

from selfheal.app.aio import gather_bounded
from selfheal.server.cli.output import plain

_AT_ONCE = 4
_LONGEST = 500  # characters of a message, a provider's reason included


@dataclass(frozen=True, slots=True)
class DemoRun:
    """One run as its caller saw it; a run without a verdict scores 0.

    Attributes:
        request: the text of the request.
        outcome: `ok`, `failed`, the outcome of a run without a verdict, or `unanswered` if the
            service did not answer.
        score: from 0 to 1.
        message: why it failed, or the judge's first reason.
        worker_version: of the worker's prompt; None without a verdict.
    """

    request: str
    outcome: str
    score: float
    message: str
    worker_version: int | None = None

    @property
    def passed(self) -> bool:
        """Whether the run passed."""
        return self.outcome == "ok"

    def as_json(self) -> dict[str, str]:
        """Return the demo's report of a failing run."""
        return {"outcome": self.outcome, "message": self.message, "request": self.request}


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """The runs of one phase of the demo."""

    runs: tuple[DemoRun, ...]

    @property
    def passed(self) -> int:
        """The number of runs that passed."""
        return sum(run.passed for run in self.runs)

    @property
    def pass_rate(self) -> float:
        """The share of the runs that passed."""
        return self.passed / len(self.runs)

    @property
    def average_score(self) -> float:
        """The mean score, from 0 to 1."""
        return sum(run.score for run in self.runs) / len(self.runs)

    @property
    def failing(self) -> DemoRun | None:
        """A run that did not pass, one without a verdict first; None if all passed."""
        failed = [run for run in self.runs if not run.passed]
        return min(failed, key=lambda run: run.outcome == "failed", default=None)

    def as_json(self) -> dict[str, Any]:
        """Return the figures."""
        failing = self.failing
        return {
            "runs": len(self.runs),
            "passed": self.passed,
            "pass_rate": round(self.pass_rate, 4),
            "average_score": round(self.average_score, 4),
            "failing_run": failing.as_json() if failing else None,
        }


@cache
def requests(part: str) -> tuple[dict[str, Any], ...]:
    """Return the demo's requests.

    Args:
        part: `known`, or `unseen` for those that are only sent at the end.
    """
    text = (files("selfheal.server.demo") / "requests.jsonl").read_text(encoding="utf-8")
    rows = map(json.loads, text.splitlines())
    return tuple(
        {"request": row["request"], "examples": row["examples"]}
        for row in rows
        if row["part"] == part
    )


def broken_prompt() -> str:
    """Return the demo's only worker prompt: deliberately broken, without a predecessor."""
    return (files("selfheal.server.demo") / "worker.md").read_text(encoding="utf-8").strip()


async def measure(
    client: httpx.AsyncClient,
    asked: Sequence[dict[str, Any]],
    on_run: Callable[[DemoRun], None],
) -> PhaseResult:
    """Send requests, a few at once.

    Args:
        client: of the service.
        asked: the inputs of the runs.
        on_run: called after each run.

    Returns:
        The runs in the order of the requests.
    """

    async def one(body: dict[str, Any]) -> DemoRun:
        run = await _send(client, body)
        on_run(run)
        return run

    return PhaseResult(tuple(await gather_bounded(_AT_ONCE, one, asked)))


async def _send(client: httpx.AsyncClient, body: dict[str, Any]) -> DemoRun:
    """Send one request; a refusal and no answer are results as well."""
    request = str(body["request"])
    try:
        answer = await client.post("/runs/wait", json={"assistant_id": "agent", "input": body})
        result = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        return DemoRun(request, "unanswered", 0.0, f"no answer: {type(error).__name__}")
    if answer.is_error:
        detail = f"HTTP {answer.status_code}: {result.get('detail')}"
        return DemoRun(request, "unanswered", 0.0, _line(detail))
    return _parsed(request, result)


def _parsed(request: str, result: dict[str, Any]) -> DemoRun:
    if failure := result.get("__error__"):
        return DemoRun(request, failure["error"], 0.0, _line(failure["message"]))
    evaluation = result.get("evaluation")
    if not evaluation:
        return DemoRun(request, "unanswered", 0.0, "the run was stopped before its verdict")
    outcome = "ok" if evaluation["passed"] else "failed"
    message = _line(evaluation["reasons"][0]) if evaluation["reasons"] else ""
    version = result["prompt_versions"]["worker"]
    return DemoRun(request, outcome, evaluation["score"], message, version)


def _line(text: str) -> str:
    """Return a text as one printable line of at most `_LONGEST` characters."""
    line = plain(" ".join(text.split()))
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
