"""Asking the service over HTTP, and what came of it."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import httpx

_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Answered:
    """One run as its caller saw it; a run without a verdict scores 0."""

    request: str
    passed: bool
    score: float
    words: str
    worker_version: int | None


@dataclass(frozen=True, slots=True)
class Measured:
    """What a phase of the demo came to."""

    runs: tuple[Answered, ...]

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

    def as_json(self) -> dict[str, Any]:
        """Return the figures."""
        return {
            "runs": len(self.runs),
            "passed": self.passed,
            "pass_rate": round(self.pass_rate, 4),
            "average_score": round(self.average_score, 4),
        }


@cache
def requests(part: str) -> tuple[dict[str, Any], ...]:
    """Return the demo's requests: `known` ones, and `unseen` ones that only come at the end."""
    text = (files("server.demo") / "requests.jsonl").read_text(encoding="utf-8")
    rows = map(json.loads, text.splitlines())
    return tuple(
        {"request": row["request"], "examples": row["examples"]}
        for row in rows
        if row["part"] == part
    )


def broken_prompt() -> str:
    """Return the demo's only worker prompt: deliberately broken, with nothing to go back to."""
    return (files("server.demo") / "worker.md").read_text(encoding="utf-8").strip()


async def measure(
    client: httpx.AsyncClient,
    asked: Sequence[dict[str, Any]],
    told: Callable[[Answered], None],
) -> Measured:
    """Send requests, a few at once; return what came of them, in their order."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(body: dict[str, Any]) -> Answered:
        async with places:
            answer = await client.post("/runs/wait", json={"assistant_id": "agent", "input": body})
        answer.raise_for_status()
        answered = _answered(body["request"], answer.json())
        told(answered)
        return answered

    return Measured(tuple(await asyncio.gather(*(one(body) for body in asked))))


def _answered(request: str, result: dict[str, Any]) -> Answered:
    if failure := result.get("__error__"):
        return Answered(request, False, 0.0, f"{failure['error']}: {failure['message']}", None)
    evaluation = result["evaluation"]
    words = evaluation["reasons"][0] if evaluation["reasons"] else ""
    version = result["prompt_versions"]["worker"]
    return Answered(request, evaluation["passed"], evaluation["score"], words, version)
