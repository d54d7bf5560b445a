"""The deterministic checks of a program: all rules, their score, and their vetoes."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from selfheal.graph.rules.examples import Answer, answers, answers_again, ask
from selfheal.graph.rules.linter import lint
from selfheal.graph.rules.static_runner import read
from selfheal.graph.rules.weights import WEIGHTS, Finding
from selfheal.graph.sandbox.protocol import Execution, Program, Sandbox
from selfheal.graph.state import Check, Plan

_FAULTS = {"error", "timeout", "memory", "output", "killed"}
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class CheckResults:
    """The results of the checks.

    Attributes:
        findings: one for each rule that applies.
        execution: how the program ran.
    """

    findings: tuple[Finding, ...]
    execution: Execution

    @property
    def score(self) -> float:
        """The weighted mean of the rules that apply, from 0 to 1."""
        total = sum(WEIGHTS[each.name] for each in self.findings)
        return sum(WEIGHTS[each.name] * each.score for each in self.findings) / total

    @property
    def vetoes(self) -> list[str]:
        """Why the program must not pass, whatever the judge's score; empty if it may."""
        return [f"{each.name}: {each.detail}" for each in self.findings if each.veto]

    @property
    def inferred_broken(self) -> float:
        """The share of inferred examples that do not hold, 0 to 1; 0 if there are none."""
        return sum(1 - each.score for each in self.findings if each.name == "inferred_examples")

    def checks(self) -> list[Check]:
        """Return the findings for the verdict, with weights that sum to 1."""
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


async def run_checks(code: str, plan: Plan, sandbox: Sandbox) -> CheckResults:
    """Apply all rules to a program.

    Raises:
        SandboxUnavailable: the sandbox failed; nothing is known about the program.
    """
    read_off = await read(code, plan["signature"], sandbox)
    if read_off[0].veto:
        unrun = Execution(sandbox.name, "error", read_off[0].detail, 0.0, "", ())
        return CheckResults(read_off, unrun)
    # Parsing examples and comparing results can take long, so both are done in a thread.
    questions = await asyncio.to_thread(ask, plan)
    calls = tuple(call for each in questions for call in each.calls)
    execution = await sandbox.run(Program(code, calls))
    found = await asyncio.to_thread(answers, questions, execution)
    again = await _run_again(code, found, execution, sandbox)
    linted = await lint(code)
    ran = execution if again is None or again.status == "ok" else again
    observed = await asyncio.to_thread(_observed, ran, answers_again(found, again))
    return CheckResults((*read_off, *observed, *([linted] if linted else [])), ran)


async def _run_again(
    code: str, found: Sequence[Answer], first: Execution, sandbox: Sandbox
) -> Execution | None:
    """Run the examples that cannot be decided outside of the program's process."""
    calls = tuple(each.example["call"] for each in found if each.state == "undecided")
    return await sandbox.run(Program(code, calls)) if calls and first.status == "ok" else None


def _observed(ran: Execution, found: Sequence[Answer]) -> tuple[Finding, ...]:
    return tuple(execution_findings(ran, found))


def execution_findings(execution: Execution, answers: Sequence[Answer]) -> Iterator[Finding]:
    """Yield the findings of a run: whether the program ran, and whether its examples hold.

    Args:
        execution: how the program ran; `not_run` yields nothing.
        answers: the results of the examples.
    """
    if execution.status == "not_run":
        return
    yield _runs(execution)
    for name, stated in (("examples", True), ("inferred_examples", False)):
        found = [each for each in answers if each.stated is stated]
        if found:
            yield _held(name, found)


def _runs(execution: Execution) -> Finding:
    if execution.status in _FAULTS:
        return Finding("runs", 0.0, execution.detail, veto=True)
    return Finding("runs", 1.0)


def _held(name: str, answers: Sequence[Answer]) -> Finding:
    """Return the share of examples that hold; a broken stated one is a veto."""
    broken = [each.detail for each in answers if each.state != "held"]
    return Finding(
        name,
        1 - len(broken) / len(answers),
        "; ".join(broken[:_SHOWN]),
        veto=bool(broken) and name == "examples",
    )
