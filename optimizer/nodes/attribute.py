"""blame: whose prompt is the cause, decided on what was observed and on what is tried now."""

import asyncio

from langgraph.runtime import Runtime

from selfheal.app.aio import gather_bounded
from selfheal.db import healings
from selfheal.db.types import Agent
from selfheal.optimizer.context import (
    OptimizerContext,
    RuntimeContext,
    optimizer_context,
    select_target,
)
from selfheal.optimizer.evaluation.trials import TrialStore
from selfheal.optimizer.policy import attribution
from selfheal.optimizer.policy.attribution import ARMS, MOST_CASES
from selfheal.optimizer.state import (
    AttributionEvidence,
    AttributionRecord,
    Case,
    Count,
    Findings,
    State,
)


async def blame(state: State, runtime: Runtime[RuntimeContext]) -> State:
    """Try the suspects' last good versions on training cases as far as needed, and decide."""
    context = optimizer_context(runtime)
    async with context.database.connection() as connection:
        await healings.enter(connection, context.hold(state["healing_id"]), "blame")
    evidence = await asyncio.to_thread(_observed, state)  # it parses what runs were asked for
    while suspect := attribution.next_test(evidence):
        result = await _reverted(context, state, suspect)
        evidence = attribution.with_reverted(evidence, suspect, result)
    decided = attribution.decide(evidence)
    findings: Findings = {
        **state["findings"],
        "blame": decided.agent,
        "attribution": AttributionRecord(reason=decided.reason, evidence=evidence),
    }
    target = await select_target(context, state["healing_id"], state, decided.agent)
    return {**target, "findings": findings}


def _observed(state: State) -> AttributionEvidence:
    """Collect what is known without trying anything; in a forced healing, runs prove nothing."""
    rows = state["evidence"] if state["failed_run_ids"] else []
    judged, plans = attribution.observed(rows)
    return AttributionEvidence(
        diagnosed=state["findings"]["blame"],
        judge_low=state["judge"]["low"],
        judged=judged,
        plans=plans,
        revertible=sorted(state["last_goods"]),
        reverted={},
        rejected=list(state["tried"]),
    )


async def _reverted(context: OptimizerContext, state: State, agent: Agent) -> Count:
    """Return how many training cases pass with an agent's last good version, of how many."""
    arm, good = ARMS[agent], state["last_goods"][agent]
    texts, versions = {arm: good["text"]}, {arm: good["version"]}
    trial_store = await TrialStore.read(context, state["healing_id"], agent, texts, versions)

    async def one(case: Case) -> bool | None:
        trial = await trial_store.trial("blame", arm, case)
        return trial.passed if trial else None

    cases = state["split"]["train"][:MOST_CASES]
    tried = await gather_bounded(context.settings.heal_concurrency, one, cases)
    known = [each for each in tried if each is not None]
    return sum(known), len(known)
