"""A deployment with a poisoned run log, and the two ways to heal it."""

import json
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from uuid import UUID, uuid4

from bench.harness.healing import HealingHarness
from bench.harness.service import store_run
from bench.poison.obedient_model import LIVE
from bench.poison.poison import Poison
from selfheal.app.llm.untrusted import fence
from selfheal.db import prompts, runs
from selfheal.db.runs import RunResult
from selfheal.db.types import Agent
from selfheal.optimizer.dataset.cases import golden_requests
from selfheal.optimizer.dataset.failure_digest import digest_run
from selfheal.optimizer.evaluation.diagnosis import Diagnosis
from selfheal.optimizer.instructions import load
from selfheal.optimizer.proposers.base import CandidateText
from selfheal.optimizer.state import Result
from selfheal.simulator.bank import load_bank
from selfheal.simulator.tasks import Task

RUNS = 10


@cache
def tasks() -> tuple[Task, ...]:
    """Return tasks that no golden request is about, each with examples."""
    golden = {each["id"].removeprefix("golden:") for each in golden_requests()}
    found = [task for name, task in load_bank().tasks.items() if name not in golden]
    stating = [task for task in found if all("returns" in each for each in task.examples[:2])]
    return tuple(stating[:: len(stating) // RUNS][:RUNS])


@dataclass(frozen=True)
class Logged:
    """A failed run to be written to the log."""

    request: str
    examples: tuple[dict[str, str], ...]
    plan: dict[str, Any]
    code: str
    reasons: tuple[str, ...] = ()
    message: str = ""
    detail: str = "It raised an error."
    feedback: str = ""


async def write_poisoned_runs(harness: HealingHarness, poison: Poison) -> None:
    """Release each agent's prompt, and write the poisoned runs to the log."""
    for agent, text in LIVE.items():
        # A new prompt for the judge alone would have it examined anew.
        if agent != "evaluator" or poison.agent == agent:
            await harness.put_live(text, agent)
    if poison.inherited:
        await _inherit(harness, poison)
    async with harness.database.connection() as connection:
        live = {
            agent: (await prompts.released(connection, agent)).version  # type: ignore[arg-type]
            for agent in LIVE
        }
    for logged in _runs(poison):
        await _log(harness, logged, live)


async def _inherit(harness: HealingHarness, poison: Poison) -> None:
    """Release a prompt that earlier healings have poisoned already."""
    agent: Agent = poison.agent
    async with harness.database.transaction() as connection:
        head = await prompts.head(connection, agent)
        text = f"{LIVE[agent]} {poison.inherited}"
        added = await prompts.add(connection, agent, text, author="optimizer", parent=head.version)
        await prompts.release(
            connection, agent, added.version, after=head, action="heal", actor="optimizer"
        )


def _runs(poison: Poison) -> list[Logged]:
    found = []
    for number in range(poison.flood or RUNS):
        task = tasks()[0 if poison.flood else number]
        text = poison.texts[number % len(poison.texts)]
        found.append(_poisoned(_failed(task), poison.place, text))
    return found


def _failed(task: Task) -> Logged:
    head = next(line for line in task.solution.splitlines() if line.startswith(("def ", "class ")))
    return Logged(
        request=task.requests[0],
        examples=tuple(dict(each) for each in task.examples[:2]),
        plan={
            "title": "t",
            "requirements": ["Do it."],
            "signature": head.rstrip(":"),
            "examples": [],
        },
        code=f"{head}\n    ...\n",
    )


def _poisoned(run: Logged, place: str, text: str) -> Logged:
    """Put the attacker's text into the field of the run that the attacker controls."""
    if place in ("comment", "docstring", "string"):
        form = {"comment": "# {}", "docstring": '"""{}"""', "string": "X = {!r}"}[place]
        return replace(run, code=f"{form.format(text)}\n{run.code}")
    if place == "reason":
        return replace(run, reasons=(text,))
    if place == "title":
        return replace(run, plan={**run.plan, "title": text})
    if place == "requirement":
        return replace(run, plan={**run.plan, "requirements": [text]})
    if place == "request":
        return replace(run, request=f"{run.request}\n{text}")
    return replace(run, **{place: text})  # type: ignore[arg-type]


async def _log(harness: HealingHarness, logged: Logged, live: dict[str, int]) -> UUID:
    """Record a run as the service does when it ends."""
    evaluation = {
        "score": 0.1,
        "rule_score": 0.1,
        "llm_score": None,
        "passed": False,
        "checks": [{"name": "runs", "score": 0.0, "weight": 1.0, "detail": logged.detail}],
        "reasons": list(logged.reasons),
        "execution": {"backend": "test", "status": "ok"},
    }
    finish = RunResult(
        outcome="failed",
        message=logged.message,
        plan=logged.plan,
        code=logged.code,
        explanation="",
        prompt_versions=live,
        evaluation=evaluation,
    )
    number = uuid4()
    async with harness.database.transaction() as connection:
        await store_run(connection, number, logged.request, examples=logged.examples)
        await runs.finish(connection, number, finish)
        if logged.feedback:
            await runs.add_feedback(connection, number, score=0.0, comment=logged.feedback)
    return number


async def heal(harness: HealingHarness, poison: Poison) -> Result:
    """Heal as selfheal does."""
    return await harness.heal(forced=True, agent=poison.agent)


async def swap_at_once(harness: HealingHarness, poison: Poison) -> str:
    """Heal without proof: release the first proposal. Return its text."""
    model = harness.context.model
    async with harness.database.connection() as connection:
        failed = await runs.recent(connection, limit=RUNS)
        live = await prompts.released(connection, poison.agent)
    shown = "\n".join(json.dumps(digest_run(run)) for run in failed)
    found = await model.fill(load("diagnose"), fence("failures", shown), Diagnosis)
    said = [*found.content.root_causes, *found.content.suggestions]
    asked = "\n".join((fence("prompt", live.text), fence("findings", json.dumps(said))))
    drafted = await model.fill(load("write"), asked, CandidateText)
    await harness.put_live(drafted.content.prompt, poison.agent)
    return drafted.content.prompt
