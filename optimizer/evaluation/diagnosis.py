"""The diagnosis of failures by a model: patterns, root causes, suspected agent, suggestions."""

import asyncio
import json
from typing import Final, Literal

from pydantic import BaseModel, Field

from selfheal.app.llm.client import CALLS_AN_ANSWER
from selfheal.app.llm.untrusted import RULE, fence
from selfheal.db.reasons import because
from selfheal.db.types import AGENTS, Agent
from selfheal.optimizer.context import OptimizerContext
from selfheal.optimizer.guardrails.lint import LintReference, finding_violations
from selfheal.optimizer.guardrails.reference import load_reference
from selfheal.optimizer.instructions import load
from selfheal.optimizer.records.diagnosis import DroppedFinding, Findings
from selfheal.optimizer.records.diagnosis import Pattern as FoundPattern
from selfheal.optimizer.state import State

_MOST: Final = 12  # findings of a kind
_LONGEST: Final = 500  # characters of a finding


class Pattern(BaseModel):
    """One way in which runs go wrong."""

    description: str = Field(description="What goes wrong, in a sentence")
    run_ids: list[str] = Field(description="The run_ids of the runs that show it")


class Diagnosis(BaseModel):
    """Why runs failed."""

    patterns: list[Pattern] = Field(description="What goes wrong again and again")
    root_causes: list[str] = Field(description="Why it goes wrong")
    blame: Literal["manager", "worker", "evaluator"] = Field(
        description="The agent whose prompt has to change"
    )
    suggestions: list[str] = Field(description="General instructions that would have prevented it")


async def diagnosed(context: OptimizerContext, state: State) -> Findings:
    """Return the findings about a state's evidence, under the prompts that it says are live.

    Raises:
        RunError: the model gave no usable answer.
        BudgetSpentError: the budget is used up.
    """
    work = context.model.fill(load("diagnose"), _message(state), Diagnosis)
    hold = context.hold(state["healing_id"])
    answer, _ = await context.budget.charge(hold, CALLS_AN_ANSWER, work)
    agents: tuple[Agent, ...] = (state["agent"],) if state["blamed"] else AGENTS
    reference = await load_reference(context, state, *agents)
    return await asyncio.to_thread(_findings, answer.content, state, reference)


def _message(state: State) -> str:
    live = [(agent, state["incumbents"][agent]["text"]) for agent in AGENTS]
    lines = "\n".join(json.dumps(each) for each in state["evidence"])
    return "\n\n".join(
        (
            RULE,
            "The system prompts of the agents:",
            *(fence(f"prompt:{agent}", text) for agent, text in live),
            *_asked(state),
            fence("failures", lines),
        )
    )


def _asked(state: State) -> list[str]:
    """Say what is shown and, if it is decided, whose prompt has to change."""
    if not state["blamed"]:
        return ["Failed runs, one per line:"]
    blamed = f"It is known that the {state['agent']}'s prompt is to blame: say what is wrong in it."
    if state["agent"] != "evaluator":
        return [blamed, "Failed runs, one per line:"]
    return [blamed, "Programs that the judge was tested on, one per line:"]


def _findings(diagnosis: Diagnosis, state: State, reference: LintReference) -> Findings:
    """Return the findings: run ids that exist, and what passes the lint.

    What untrusted text has probably dictated does not reach the proposer; it is stored with the
    reason. Patterns, which may name requests, are only shown.
    """
    known = {each["run_id"] for each in state["evidence"]}
    patterns = [
        FoundPattern(
            description=each.description[:_LONGEST],
            run_ids=[run_id for run_id in each.run_ids if run_id in known],
        )
        for each in diagnosis.patterns[:_MOST]
    ]
    causes, no_causes = _linted(diagnosis.root_causes, reference)
    suggestions, no_suggestions = _linted(diagnosis.suggestions, reference)
    found = Findings(
        patterns=patterns,
        root_causes=causes,
        blame=state["agent"] if state["blamed"] else diagnosis.blame,
        suggestions=suggestions,
        dropped=[*no_causes, *no_suggestions],
    )
    before = state.get("findings")
    if before and "attribution" in before:
        found["attribution"] = before["attribution"]
    return found


def _linted(
    sentences: list[str], reference: LintReference
) -> tuple[list[str], list[DroppedFinding]]:
    """Return the findings that the proposer is given, and those that it is not."""
    kept: list[str] = []
    dropped: list[DroppedFinding] = []
    for each in filter(None, (sentence.strip() for sentence in sentences[:_MOST])):
        long = len(each) > _LONGEST
        found = [because("too_many_characters", characters=len(each), limit=_LONGEST)]
        if found := found if long else finding_violations(each, reference):
            reason = because("breaks_prompt_rules", violations=found)
            dropped.append(DroppedFinding(text=each[:_LONGEST], reason=reason))
        else:
            kept.append(each)
    return kept, dropped
