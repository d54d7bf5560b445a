"""Asking the service over HTTP, and what came of it."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import httpx

from selfheal.server.commands.output import plain

_AT_ONCE = 4
_LONGEST = 500  # characters of a message, a provider's reason included


@dataclass(frozen=True, slots=True)
class DemoRun:
    """One run as its caller saw it; a run without a verdict scores 0.

    Attributes:
        request: what was asked for.
        outcome: `ok`, `failed`, the error class of a run without a verdict, or `unanswered` where
            the service itself did not answer.
        score: from 0 to 1.
        message: why it failed, or the judge's first reason.
        worker_version: the worker's prompt; null without a verdict.
    """

    request: str
    outcome: str
    score: float
    message: str
    worker_version: int | None = None

    @property
    def passed(self) -> bool:
        """Whether the verdict is good."""
        return self.outcome == "ok"

    def as_json(self) -> dict[str, str]:
        """Return what the demo reports of a failing run."""
        return {"outcome": self.outcome, "message": self.message, "request": self.request}


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """What a phase of the demo came to."""

    runs: tuple[DemoRun, ...]

    @property
    def passed(self) -> int:
        """How many runs passed."""
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
    """Return the demo's requests: `known` ones, and `unseen` ones that only come at the end."""
    text = (files("selfheal.server.demo") / "requests.jsonl").read_text(encoding="utf-8")
    rows = map(json.loads, text.splitlines())
    return tuple(
        {"request": row["request"], "examples": row["examples"]}
        for row in rows
        if row["part"] == part
    )


def broken_prompt() -> str:
    """Return the demo's only worker prompt: deliberately broken, with nothing to go back to."""
    return (files("selfheal.server.demo") / "worker.md").read_text(encoding="utf-8").strip()


async def measure(
    client: httpx.AsyncClient,
    asked: Sequence[dict[str, Any]],
    told: Callable[[DemoRun], None],
) -> PhaseResult:
    """Send requests, a few at once; return what came of them, in their order."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(body: dict[str, Any]) -> DemoRun:
        async with places:
            answered = await _ask(client, body)
        told(answered)
        return answered

    return PhaseResult(tuple(await asyncio.gather(*(one(body) for body in asked))))


async def _ask(client: httpx.AsyncClient, body: dict[str, Any]) -> DemoRun:
    """Return what came of a request, a refusal or no answer included."""
    request = str(body["request"])
    try:
        answer = await client.post("/runs/wait", json={"assistant_id": "agent", "input": body})
        result = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        return DemoRun(request, "unanswered", 0.0, f"no answer: {type(error).__name__}")
    if answer.is_error:
        refused = f"HTTP {answer.status_code}: {result.get('detail')}"
        return DemoRun(request, "unanswered", 0.0, _line(refused))
    return _answered(request, result)


def _answered(request: str, result: dict[str, Any]) -> DemoRun:
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
    """Return a text as one printable line, cut to a length that a report has room for."""
    line = plain(" ".join(text.split()))
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
