"""The rules against HumanEval's verdicts on a real model's programs: `python -m bench.humaneval`.

The verdicts come from HumanEval's hidden tests: does the evaluator agree with them?
"""

import asyncio
import gzip
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from selfheal.app.aio import gather_bounded
from selfheal.graph.rules.checks import CheckResults, run_checks
from selfheal.graph.sandbox.protocol import Sandbox
from selfheal.graph.sandbox.selection import open_sandbox, survey
from selfheal.graph.state import Plan, PlannedExample

FILE = Path(__file__).parents[2] / "shared" / "data" / "humaneval_llm_programs.jsonl.gz"
AT_ONCE = 2
_TABLE = "{:10} {:>9} {:>9} {:>12} {:>12} {:>10} {:>9}"


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
    sandbox: Sandbox, on_judged: Callable[[Judged], None], every: int = 1
) -> list[Judged]:
    """Judge every program, or every so-manieth, by the rules of fact, a few at once."""

    async def one(sample: Sample) -> Judged:
        judged = Judged(sample, await run_checks(sample.code, sample.plan, sandbox))
        on_judged(judged)
        return judged

    return await gather_bounded(AT_ONCE, one, list(samples())[::every])


async def main() -> int:
    """Print the agreement by backend; fail where it is below 99.5 % or a failing program passed."""
    if not FILE.exists():
        print(f"there is no {FILE}: nothing to compare with", file=sys.stderr)
        return 2
    print(
        _TABLE.format("backend", "programs", "agree", "wrong pass", "wrong fail", "left out", "s")
    )
    worst, shown = 1.0, set[str]()
    for report in await survey():
        if not report.ok:
            print(f"{report.name:10} does not work here: {report.reason}")
            continue
        began = time.monotonic()
        async with open_sandbox(report.name) as sandbox:
            judged = await judge_all(sandbox, lambda _: None)
        worst = min(worst, _row(report.name, judged, time.monotonic() - began))
        shown |= {_difference(each) for each in judged if not each.agrees}
    print(*sorted(shown), sep="\n")
    return int(worst < 0.995)


def _row(name: str, judged: list[Judged], seconds: float) -> float:
    share = sum(each.agrees for each in judged) / len(judged)
    wrong = [each for each in judged if not each.agrees and not each.excused]
    passes = sum(each.held for each in wrong)
    excused = sum(each.excused for each in judged)
    print(
        _TABLE.format(
            name,
            len(judged),
            f"{share:.2%}",
            passes,
            len(wrong) - passes,
            excused,
            f"{seconds:.0f}",
        )
    )
    return 0.0 if passes else share


def _difference(each: Judged) -> str:
    said = "; ".join(each.facts.vetoes) or "all examples hold"
    verdict = "passed" if each.sample.passed else "failed"
    return f"  {each.sample.task} #{each.sample.number}: HumanEval says {verdict}; we: {said[:200]}"


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
