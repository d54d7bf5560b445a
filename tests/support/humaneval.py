"""Programs that a real model wrote, with verdicts that nobody here made: is the evaluator right?"""

import asyncio
import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from selfheal.graph.rules.checks import CheckResults, run_checks
from selfheal.graph.sandbox.protocol import Sandbox
from selfheal.graph.state import Plan, PlannedExample

FILE = Path(__file__).parents[3] / "shared" / "data" / "humaneval_llm_programs.jsonl.gz"
AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Sample:
    """One program, and whether it passed HumanEval's own tests.

    `unconverted` asserts of its task could not be put as examples.
    """

    task: str
    number: int
    plan: Plan
    code: str
    passed: bool
    unconverted: int


@dataclass(frozen=True, slots=True)
class Judged:
    """A program with what the rules of fact say of it."""

    sample: Sample
    facts: CheckResults

    @property
    def held(self) -> bool:
        """Whether all examples hold."""
        return {each.name: each.score for each in self.facts.findings}.get("examples") == 1.0

    @property
    def agrees(self) -> bool:
        """Whether that is HumanEval's own verdict."""
        return self.held == self.sample.passed

    @property
    def excused(self) -> bool:
        """Whether the one honest cause of a difference may be at work: an assert left out."""
        return self.held and not self.sample.passed and self.sample.unconverted > 0


def _stated(example: dict[str, str]) -> PlannedExample:
    planned: Any = {**example, "origin": "stated"}
    return cast("PlannedExample", planned)


def samples() -> Iterator[Sample]:
    """Yield every program of the file."""
    for line in gzip.decompress(FILE.read_bytes()).splitlines():
        task: dict[str, Any] = json.loads(line)
        plan = Plan(
            title="",
            requirements=[],
            signature=f"def {task['entry_point']}()",
            examples=[_stated(each) for each in task["examples"]],
        )
        for number, each in enumerate(task["samples"]):
            yield Sample(
                task["task_id"],
                number,
                plan,
                each["code"],
                each["passed"],
                task["unconverted"],
            )


async def judge_all(
    sandbox: Sandbox, told: Callable[[Judged], None], every: int = 1
) -> list[Judged]:
    """Judge every program, or every so-manieth, by the rules of fact, a few at once."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(sample: Sample) -> Judged:
        async with places:
            judged = Judged(sample, await run_checks(sample.code, sample.plan, sandbox))
            told(judged)
            return judged

    return await asyncio.gather(*map(one, list(samples())[::every]))
