"""What is known for a fact: all rules together, their score, and whether they forbid a pass."""

import asyncio
from dataclasses import dataclass

from graph.rules.comparing import asked
from graph.rules.linter import lint
from graph.rules.running import observe
from graph.rules.syntax import read
from graph.rules.table import WEIGHTS, Finding, Subject
from graph.sandbox.contract import Execution, Program, Sandbox
from graph.state import Check, Plan


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
    calls = await asyncio.to_thread(_calls, plan)
    execution = await sandbox.run(Program(code, calls))
    linted = await lint(code)
    observed = await asyncio.to_thread(_observed, Subject(plan, execution))
    return Facts((*read_off, *observed, *([linted] if linted else [])), execution)


def _calls(plan: Plan) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(asked, plan["examples"])))


def _observed(subject: Subject) -> tuple[Finding, ...]:
    return tuple(observe(subject))
