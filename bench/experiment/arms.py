"""What is done to a sick deployment: by this system, or as others do it."""

import json
import time

from bench.experiment.jobs import Job
from bench.experiment.treated import Treated
from bench.harness.healing import HealingHarness
from selfheal.app.llm.untrusted import fence
from selfheal.app.llm.usage import metered
from selfheal.db import prompts, runs
from selfheal.db.types import Agent
from selfheal.optimizer.dataset.failure_digest import digest_run
from selfheal.optimizer.evaluation.diagnosis import Diagnosis
from selfheal.optimizer.instructions import load
from selfheal.optimizer.proposers.base import CandidateText
from selfheal.optimizer.receipt.schema import receipt_of
from selfheal.optimizer.wording import sentence

_SHOWN = 20
_AGENTS: tuple[Agent, ...] = ("manager", "worker", "evaluator")


async def selfheal(harness: HealingHarness, job: Job, *, forced: bool = False) -> Treated:
    """Make one pass of the optimizer.

    A defect that fails too seldom to be detected in the requests that were sent is healed all the
    same: how soon one is detected is measured elsewhere (tests/unit/test_detection_rates.py).
    """
    agent: Agent | None = job.agent if forced else None  # type: ignore[assignment]
    began = time.monotonic()
    result = await harness.heal(forced=forced, agent=agent)
    if result["outcome"] == "healthy" and not forced:
        result = await harness.heal(forced=True)
    seconds = time.monotonic() - began
    if "healing_id" not in result:
        reason = sentence(result.get("reason"))
        return Treated(result["outcome"], None, 0, 0, seconds, reason=reason)
    healing = await harness.healing(result)
    gates = receipt_of(healing)["gates"]
    return Treated(
        healing.outcome or "",
        result["agent"],
        healing.calls_used,
        healing.input_tokens + healing.output_tokens,
        seconds,
        tuple(
            {
                "verdict": gate["verdict"],
                "gains": gate["gains"],
                "losses": gate["losses"],
                "pairs": gate["pairs"],
                "e_value": gate["e_value"],
            }
            for gate in gates
        ),
        sentence(healing.reason),
    )


async def swap(harness: HealingHarness, job: Job) -> Treated:
    """Heal as the first try of this idea did: the first proposal goes live."""
    model = harness.context.model
    began = time.monotonic()
    async with harness.database.connection() as connection:
        live = {agent: (await prompts.released(connection, agent)).text for agent in _AGENTS}
        logged = await runs.recent(connection, limit=_SHOWN)
    failed = [run for run in logged if run.outcome in ("failed", "output")] or logged
    shown = [json.dumps(digest_run(run)) for run in failed]
    with metered() as usage:
        asked = (*(fence(f"prompt:{agent}", text) for agent, text in live.items()),
                 fence("failures", "\n".join(shown)))  # fmt: skip
        found = (await model.fill(load("diagnose"), "\n\n".join(asked), Diagnosis)).content
        blamed: Agent = job.agent if job.experiment == "null" else found.blame  # type: ignore[assignment]
        said = json.dumps([*found.root_causes, *found.suggestions])
        brief = (f"This is the {blamed}'s prompt.", fence("prompt", live[blamed]),
                 fence("findings", said))  # fmt: skip
        draft = (await model.fill(load("write"), "\n\n".join(brief), CandidateText)).content
    await harness.put_live(draft.prompt, blamed)
    tokens = usage["input_tokens"] + usage["output_tokens"]
    return Treated("promoted", blamed, usage["calls"], tokens, time.monotonic() - began)
