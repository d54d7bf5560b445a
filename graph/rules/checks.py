"""What is known for a fact: all rules together, their score, and whether they forbid a pass."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from selfheal.graph.rules.examples import Answer, answers, answers_again, ask
from selfheal.graph.rules.execution_checks import observe
from selfheal.graph.rules.linter import lint
from selfheal.graph.rules.static_runner import read
from selfheal.graph.rules.weights import WEIGHTS, Finding
from selfheal.graph.sandbox.protocol import Execution, Program, Sandbox
from selfheal.graph.state import Check, Plan


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a program without asking anybody's opinion."""

    findings: tuple[Finding, ...]
    execution: Execution

    @property
    def score(self) -> float:
        """The weighted mean of the rules that apply, from 0 to 1."""
        total = sum(WEIGHTS[each.name] for each in self.findings)
        return sum(WEIGHTS[each.name] * each.score for each in self.findings) / total

    @property
    def vetoes(self) -> list[str]:
        """Why the program may not pass, whatever a judge says; empty if it may."""
        return [f"{each.name}: {each.detail}" for each in self.findings if each.veto]

    @property
    def inferred_broken(self) -> float:
        """The share of inferred examples that are broken, 0 to 1; 0 where there are none."""
        return sum(1 - each.score for each in self.findings if each.name == "inferred_examples")

    def checks(self) -> list[Check]:
        """Return the findings as the verdict shows them; weights sum to 1 over those that apply."""
        total = sum(WEIGHTS[each.name] for each in self.findings)
        return [
            Check(
                name=each.name,
                score=each.score,
                weight=round(WEIGHTS[each.name] / total, 4),
                detail=each.detail,
            )
            for each in self.findings
        ]


async def establish(code: str, plan: Plan, sandbox: Sandbox) -> Facts:
    """Apply every rule to the code.

    Raises:
        SandboxUnavailable: the sandbox broke; nothing is known about the program.
    """
    read_off = await read(code, plan["signature"], sandbox)
    if read_off[0].veto:
        unrun = Execution(sandbox.name, "error", read_off[0].detail, 0.0, "", ())
        return Facts(read_off, unrun)
    # Parsing examples and comparing what a program returned can take a while: not in the loop.
    questions = await asyncio.to_thread(ask, plan)
    calls = tuple(call for each in questions for call in each.calls)
    execution = await sandbox.run(Program(code, calls))
    found = await asyncio.to_thread(answers, questions, execution)
    again = await _run_again(code, found, execution, sandbox)
    linted = await lint(code)
    ran = execution if again is None or again.status == "ok" else again
    observed = await asyncio.to_thread(_observed, ran, answers_again(found, again))
    return Facts((*read_off, *observed, *([linted] if linted else [])), ran)


async def _run_again(
    code: str, found: Sequence[Answer], first: Execution, sandbox: Sandbox
) -> Execution | None:
    """Have the program itself decide what could not be decided without it."""
    calls = tuple(each.example["call"] for each in found if each.state == "undecided")
    return await sandbox.run(Program(code, calls)) if calls and first.status == "ok" else None


def _observed(ran: Execution, found: Sequence[Answer]) -> tuple[Finding, ...]:
    return tuple(observe(ran, found))
