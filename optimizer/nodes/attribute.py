"""blame: whose prompt is the cause, decided on what was observed and on what is tried now."""

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
from selfheal.optimizer.policy.attribution import ARMS, MOST_CASES, takes
from selfheal.optimizer.policy.failure_causes import cause_counts
from selfheal.optimizer.records.cases import Case, Count
from selfheal.optimizer.records.diagnosis import AttributionEvidence, AttributionRecord, Findings
from selfheal.optimizer.state import State


async def blame(state: State, runtime: Runtime[RuntimeContext]) -> State:
    """Try the suspects' earlier versions on training cases as far as needed, and decide."""
    context = optimizer_context(runtime)
    async with context.database.connection() as connection:
        await healings.enter(connection, context.hold(state["healing_id"]), "blame")
    evidence = _observed(state)
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
    revertible = sorted(each for each in state["last_goods"] if each in ARMS)
    return AttributionEvidence(
        diagnosed=state["findings"]["blame"],
        causes=cause_counts(state["failures"]),
        revertible=revertible,
        replaceable=sorted(
            each for each in ARMS if state["earlier"].get(each) and each not in revertible
        ),
        reverted={},
        rejected=list(state["tried"]),
    )


async def _reverted(context: OptimizerContext, state: State, agent: Agent) -> Count:
    """Return how many trials of training cases pass with an agent's earlier version, of how many.

    With fewer than 4 cases each is tried more often.
    """
    arm = ARMS[agent]
    earlier = state["last_goods"].get(agent) or state["earlier"][agent][0]
    texts, versions = {arm: earlier["text"]}, {arm: earlier["version"]}
    trial_store = await TrialStore.read(context, state["healing_id"], agent, texts, versions)

    async def one(case_and_take: tuple[Case, int]) -> bool | None:
        case, take = case_and_take
        trial = await trial_store.trial("blame", arm, case, take)
        return trial.passed if trial else None

    cases = state["split"]["train"][:MOST_CASES]
    turns = [(case, take) for take in range(takes(len(cases))) for case in cases]
    tried = await gather_bounded(context.settings.heal_concurrency, one, turns)
    known = [each for each in tried if each is not None]
    return sum(known), len(known)
