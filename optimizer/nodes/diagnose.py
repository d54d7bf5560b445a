"""diagnose: patterns, root causes, blame and suggestions, from train cases only."""

import asyncio
import json
from typing import Any, Literal

from langgraph.runtime import Runtime
from pydantic import BaseModel, Field

from selfheal.app.llm.client import CALLS_AN_ANSWER
from selfheal.app.llm.untrusted import RULE, fence
from selfheal.db import healings
from selfheal.db.types import AGENTS, Agent
from selfheal.optimizer.context import Doctor, Given, doctor_of
from selfheal.optimizer.guardrails.lint import LintReference, finding_violations
from selfheal.optimizer.guardrails.reference import load_reference
from selfheal.optimizer.instructions import load
from selfheal.optimizer.state import Findings, State

_MOST, _LONGEST = 12, 500  # findings of a kind, and characters of one


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


async def diagnose(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Ask the diagnostician what the failures have in common, and whose prompt is to blame.

    Once that is decided, it is asked again where it had looked at another prompt.
    """
    doctor = doctor_of(runtime)
    hold = doctor.hold(state["healing_id"])
    async with doctor.database.connection() as connection:
        await healings.enter(connection, hold, "diagnose")
    return {"findings": await diagnosed(doctor, state)}


async def diagnosed(doctor: Doctor, state: State) -> Findings:
    """Return the findings about a state's evidence, under the prompts that it says are live.

    Raises:
        RunError: the diagnostician gave no usable answer.
        BudgetSpentError: there is nothing left to pay it from.
    """
    work = doctor.model.fill(load("diagnose"), _message(state), Diagnosis)
    hold = doctor.hold(state["healing_id"])
    answer, _ = await doctor.budget.charge(hold, CALLS_AN_ANSWER, work)
    agents: tuple[Agent, ...] = (state["agent"],) if state["blamed"] else AGENTS
    ground = await load_reference(doctor, state, *agents)
    return await asyncio.to_thread(_findings, answer.content, state, ground)


def _message(state: State) -> str:
    live = [(agent, state["incumbents"][agent]["text"]) for agent in AGENTS]
    lines = "\n".join(json.dumps(each) for each in state["evidence"])
    return "\n\n".join(
        (
            RULE,
            "The prompts that the agents ran under:",
            *(fence(f"prompt:{agent}", text) for agent, text in live),
            *_asked(state),
            fence("failures", lines),
        )
    )


def _asked(state: State) -> list[str]:
    """Say what is shown and, if it is decided, whose prompt has to change."""
    if not state["blamed"]:
        return ["Runs that ended badly, one a line:"]
    blamed = f"It is known that the {state['agent']}'s prompt is to blame: say what is wrong in it."
    if state["agent"] != "evaluator":
        return [blamed, "Runs that ended badly, one a line:"]
    return [blamed, "Programs that the judge was tried on, one a line:"]


def _findings(diagnosis: Diagnosis, state: State, ground: LintReference) -> Findings:
    """Keep what can be relied on: run ids that exist, sentences that say something of their own.

    What a stranger may have dictated never reaches the writer. Patterns, which may name requests,
    are for people only.
    """
    known = {each["run_id"] for each in state["evidence"]}
    patterns = [
        {
            "description": each.description[:_LONGEST],
            "run_ids": [run_id for run_id in each.run_ids if run_id in known],
        }
        for each in diagnosis.patterns[:_MOST]
    ]
    found = Findings(
        patterns=patterns,
        root_causes=_said(diagnosis.root_causes, ground),
        blame=state["agent"] if state["blamed"] else diagnosis.blame,
        suggestions=_said(diagnosis.suggestions, ground),
    )
    if because := state.get("findings", {}).get("because"):
        found["because"] = because
    return found


def _said(sentences: list[str], ground: LintReference) -> list[str]:
    said = [each.strip() for each in sentences[:_MOST] if each.strip()]
    return [each for each in said if len(each) <= _LONGEST and not finding_violations(each, ground)]
