"""gate: both prompts on cases that neither was made from, until the evidence decides."""

import logging
from collections.abc import Sequence
from typing import Final

from langgraph.runtime import Runtime

from selfheal.app.aio import gather_all
from selfheal.db import healings, runs
from selfheal.db.types import Agent
from selfheal.optimizer.budget import BudgetSpentError
from selfheal.optimizer.context import OptimizerContext, RuntimeContext, optimizer_context
from selfheal.optimizer.evaluation.run_case import TRIAL_CALLS
from selfheal.optimizer.evaluation.trials import INCUMBENT, TrialStore, stored_versions
from selfheal.optimizer.policy import superiority
from selfheal.optimizer.policy.noninferiority import gate_test
from selfheal.optimizer.policy.sequential_test import (
    MOST_HEALED,
    GateCases,
    GateTest,
    detectable,
    report,
)
from selfheal.optimizer.policy.slices import slice_of
from selfheal.optimizer.policy.superiority import Pair
from selfheal.optimizer.records.candidates import Proposal, UsualTokens
from selfheal.optimizer.records.cases import PREVIOUSLY_LIVE, Case, Split
from selfheal.optimizer.state import State, is_shortening

logger = logging.getLogger(__name__)

_TOKEN_RUNS: Final = 100  # the newest passed runs whose tokens are looked at


async def gate(state: State, runtime: Runtime[RuntimeContext]) -> State:
    """Run hold-out, then regression, under both prompts, and decide."""
    context = optimizer_context(runtime)
    survivor = next(each for each in state["proposals"] if each["ordinal"] == state["survivor"])
    async with context.database.connection() as connection:
        await healings.enter(connection, context.hold(state["healing_id"]), "gate")
    ordinal = survivor["ordinal"]
    texts = {INCUMBENT: state["incumbent"]["text"], ordinal: survivor["text"]}
    known = {INCUMBENT: state["incumbent"]["version"], **stored_versions([survivor])}
    trial_store = await TrialStore.read(context, state["healing_id"], state["agent"], texts, known)
    test = await _test(context, state, survivor)
    budget_spent = await _run(trial_store, ordinal, state["split"], test)
    reported = report(test, ordinal, budget_spent=budget_spent)
    fate = superiority.fate(reported["verdict"])
    return State(
        proposals=[
            {**each, "fate": fate, "reason": reported["reason"]} if each is survivor else each
            for each in state["proposals"]
        ],
        gates=[*state["gates"], reported],
        unjudged=trial_store.unjudged(state),
    )


async def _test(context: OptimizerContext, state: State, survivor: Proposal) -> GateTest:
    """Return the test before its first case, and log what it could show."""
    split, most = state["split"], context.settings.gate_cases
    slices = {case["id"]: slice_of(case) for case in (*split["hold_out"], *split["regression"])}
    held, regression = _ids(split["hold_out"]), _ids(split["regression"])
    cases = GateCases.in_turns(held, regression, split["pinned"], slices)
    shortening = is_shortening(state.get("trigger"))
    if not shortening:
        found = detectable(cases, most)
        shown = "no difference" if found is None else f"a difference of {found:.0%}"
        logger.info(
            "gate of candidate %s: with %s held-out cases %s in pass rates is found with 80 %%",
            survivor["ordinal"],
            len(held),
            shown,
        )
    return gate_test(
        cases,
        context.settings.heal_concurrency,
        shortening=shortening,
        most_cases=most,
        usual_tokens=None if shortening else await _usual_tokens(context, state, survivor),
        was_live=survivor["origin"] in PREVIOUSLY_LIVE,
    )


async def _usual_tokens(
    context: OptimizerContext, state: State, survivor: Proposal
) -> UsualTokens | None:
    """Return the tokens of the last good version's passed runs; None if that is the candidate."""
    good = state.get("last_good")
    if not good or good["version"] == survivor["version"]:
        return None
    async with context.database.connection() as connection:
        counted, tokens = await runs.usual_tokens(
            connection, state["agent"], good["version"], limit=_TOKEN_RUNS
        )
    found = UsualTokens(version=good["version"], runs=counted, tokens=round(tokens, 2))
    return found if counted else None


async def _run(trial_store: TrialStore, arm: int, split: Split, test: GateTest) -> bool:
    """Run pairs in a fixed order, a few at once, as long as they can still change the decision.

    Returns:
        Whether the budget ended it.
    """
    cases = {case["id"]: case for case in (*split["hold_out"], *split["regression"])}
    try:
        while True:
            while batch := test.next():
                held = not test.proven
                chosen = [cases[each] for each in batch]
                found = await _pairs(trial_store, arm, chosen, split["pinned"], hold_out=held)
                test.add(batch, found)
            if not test.extendable:
                return False
            test.extend(await _affordable(trial_store, arm, test))
    except BudgetSpentError:
        return True


async def _affordable(trial_store: TrialStore, arm: int, test: GateTest) -> int:
    """Return how many held-out cases the budget covers in all, at the price of those so far.

    Enough is set aside for what follows a proof, and for the trials that are reserved at once.
    """
    context, agent = trial_store.context, trial_store.agent
    left = await context.budget.remaining(context.hold(trial_store.healing_id))
    price = sum(_mean_calls(trial_store, each, agent) for each in (INCUMBENT, arm))
    spare = MOST_HEALED * price + 2 * test.width * TRIAL_CALLS[agent]
    return test.cases_run + max(int((left - spare) / price), 0)


def _mean_calls(trial_store: TrialStore, arm: int, agent: Agent) -> float:
    """Return the mean calls of an arm's trials in this gate; half a call for a plan included."""
    calls = [it.calls for it in trial_store.done.values() if (it.stage, it.arm) == ("gate", arm)]
    return sum(calls) / max(len(calls), 1) + (0.5 if agent == "worker" else 0) or 1.0


def _ids(cases: Sequence[Case]) -> list[str]:
    return [case["id"] for case in cases]


async def _pairs(
    trial_store: TrialStore,
    arm: int,
    cases: Sequence[Case],
    pinned: Sequence[str],
    *,
    hold_out: bool,
) -> list[Pair]:
    async def one(case: Case) -> Pair | None:
        pair = await _pair(trial_store, arm, case, hold_out)
        while pair and superiority.needs_repeat(pair, pinned):
            take = len(pair.repeats) + 1
            pair = superiority.with_repeat(pair, await trial_store.trial("gate", arm, case, take))
        return pair

    found = await gather_all(*map(one, cases))
    return [pair for pair in found if pair]


async def _pair(trial_store: TrialStore, arm: int, case: Case, hold_out: bool) -> Pair | None:
    """Run a case under both prompts; a pair counts only if both have a verdict."""
    old, new = await gather_all(
        trial_store.trial("gate", INCUMBENT, case), trial_store.trial("gate", arm, case)
    )
    return superiority.paired(case["id"], hold_out, old, new)
