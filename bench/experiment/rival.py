"""GEPA's own loop and acceptance, with our writer, our cases and our budget of calls."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.experiment.jobs import Job
from bench.experiment.treated import Treated
from bench.harness.healing import HealingHarness
from selfheal.app.llm.untrusted import fence
from selfheal.app.llm.usage import metered
from selfheal.db import prompts, runs
from selfheal.graph.state import Plan
from selfheal.optimizer.dataset import failure_digest as shown
from selfheal.optimizer.dataset.cases import case_from_run, golden_requests
from selfheal.optimizer.dataset.split import split
from selfheal.optimizer.evaluation.diagnosis import Diagnosis
from selfheal.optimizer.evaluation.run_case import make_plan, run_case
from selfheal.optimizer.instructions import load
from selfheal.optimizer.proposers.base import ProposalRequest, ScoredCase, Shape
from selfheal.optimizer.proposers.gepa import search_prompts
from selfheal.optimizer.records.cases import Case
from selfheal.optimizer.records.diagnosis import Evidence, Findings

# A trial is a call of the worker and one or more of the judge: with the plans and the writing,
# about as many calls as a healing may make.
METRIC_CALLS: Final = 150
VALIDATION: Final = 30  # as many as our gate wants pairs


@dataclass
class _Toolkit:
    """What the search may have done for it. It is stopped by trials, not by a budget."""

    harness: HealingHarness
    concurrency: int = 8
    plans: dict[str, Plan] = field(default_factory=dict)

    async def score(self, text: str, case: Case) -> ScoredCase:
        """Run a case under a text."""
        agent = self.harness.context.agent
        if "plan" not in case and case["id"] not in self.plans:
            self.plans[case["id"]] = await make_plan(agent, case)
        plan = case.get("plan") or self.plans[case["id"]]
        result = await run_case(agent, case, "worker", text, plan)
        seen = shown.digest_trial(case, result.outcome, result.details)
        return ScoredCase(result.passed, result.score, seen)

    async def diagnose(self, text: str, evidence: Sequence[Evidence]) -> Findings:
        """Say what is wrong with a text."""
        lines = "\n".join(map(json.dumps, evidence))
        asked = "\n\n".join(
            (
                fence("prompt:worker", text),
                "It is known that the worker's prompt is to blame: say what is wrong in it.",
                fence("failures", lines),
            )
        )
        found = await self.fill(load("diagnose"), asked, Diagnosis)
        return Findings(
            patterns=[],
            root_causes=found.root_causes,
            blame="worker",
            suggestions=found.suggestions,
            dropped=[],
        )

    async def fill(self, system: str, human: str, shape: type[Shape]) -> Shape:
        """Ask the optimizer's model for a shape."""
        return (await self.harness.context.model.fill(system, human, shape)).content

    async def affordable_trials(self) -> int:
        """Return how many trials there may be."""
        return METRIC_CALLS


async def gepa(harness: HealingHarness, job: Job) -> Treated:
    """Search from the damaged prompt; what GEPA likes best goes live."""
    async with harness.database.connection() as connection:
        live = await prompts.released(connection, "worker")
        logged = await runs.recent(connection, limit=50)
    failed = [case_from_run(run) for run in logged if run.outcome in ("failed", "output")]
    divided = split(failed, golden_requests(), order=str(job.seed))
    request = ProposalRequest(
        agent="worker",
        incumbent=live.text,
        findings=Findings(patterns=[], root_causes=[], blame="worker", suggestions=[], dropped=[]),
        rejected=(),
        cases=divided["train"],
        evidence=(),
        round=1,
        toolkit=_Toolkit(harness),
    )
    began = time.monotonic()
    with metered() as usage:
        found = await search_prompts(
            request,
            divided["train"],
            divided["hold_out"][:VALIDATION],
            metric_calls=METRIC_CALLS,
            seed=job.seed,
        )
    if found.improved:
        await harness.put_live(found.text)
    tokens = usage["input_tokens"] + usage["output_tokens"]
    outcome = "promoted" if found.improved else "rejected"
    return Treated(outcome, "worker", usage["calls"], tokens, time.monotonic() - began)
