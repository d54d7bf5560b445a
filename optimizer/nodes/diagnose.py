"""diagnose: patterns, root causes, blame and suggestions, from train cases only."""

import json
from typing import Any, Literal

from langgraph.runtime import Runtime
from pydantic import BaseModel, Field

from db import healings
from db.prompts import Agent
from graph.fence import RULE, fence
from optimizer.context import Doctor, Given, doctor_of
from optimizer.instructions import load
from optimizer.spending import fill
from optimizer.state import Findings, State

_AGENTS: tuple[Agent, ...] = ("manager", "worker", "evaluator")


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
    """Ask the diagnostician what the failures have in common."""
    doctor = doctor_of(runtime)
    hold = doctor.hold(state["healing_id"])
    async with doctor.database.connection() as connection:
        await healings.enter(connection, hold, "diagnose")
    message = await _message(doctor, state)
    diagnosis = await fill(doctor, state["healing_id"], load("diagnose"), message, Diagnosis)
    return {"findings": _findings(diagnosis, state)}


async def _message(doctor: Doctor, state: State) -> str:
    live = [(agent, await doctor.agent.prompts.released(agent)) for agent in _AGENTS]
    lines = "\n".join(json.dumps(each) for each in state["evidence"])
    return "\n\n".join(
        (
            RULE,
            "The prompts that the agents ran under:",
            *(fence(f"prompt:{agent}", prompt.text) for agent, prompt in live),
            f"Runs of the {state['agent']}'s version that ended badly, one a line:",
            fence("failures", lines),
        )
    )


def _findings(diagnosis: Diagnosis, state: State) -> Findings:
    """Keep what can be relied on: run ids that exist, sentences that say something."""
    known = {each["run_id"] for each in state["evidence"]}
    patterns = [
        {
            "description": each.description,
            "run_ids": [run_id for run_id in each.run_ids if run_id in known],
        }
        for each in diagnosis.patterns
    ]
    return Findings(
        patterns=patterns,
        root_causes=_said(diagnosis.root_causes),
        blame=diagnosis.blame,
        suggestions=_said(diagnosis.suggestions),
    )


def _said(sentences: list[str]) -> list[str]:
    return [each.strip()[:500] for each in sentences if each.strip()][:12]
