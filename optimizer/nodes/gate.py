"""gate: both prompts on cases that neither was made from, until the evidence decides."""

from collections.abc import Sequence

from langgraph.runtime import Runtime

from selfheal.app.aio import gather_all
from selfheal.db import healings
from selfheal.optimizer.context import RuntimeContext, optimizer_context
from selfheal.optimizer.evaluation.budget import BudgetSpentError
from selfheal.optimizer.evaluation.trials import INCUMBENT, TrialStore, stored_versions
from selfheal.optimizer.policy import superiority
from selfheal.optimizer.policy.noninferiority import gate_test
from selfheal.optimizer.policy.sequential_test import GateCases, GateTest, report
from selfheal.optimizer.policy.superiority import Pair
from selfheal.optimizer.state import Case, State, is_shortening


async def gate(state: State, runtime: Runtime[RuntimeContext]) -> State:
    """Run hold-out, then regression, under both prompts, and decide."""
    context = optimizer_context(runtime)
    async with context.database.connection() as connection:
        await healings.enter(connection, context.hold(state["healing_id"]), "gate")
    survivor = next(each for each in state["proposals"] if each["ordinal"] == state["survivor"])
    ordinal = survivor["ordinal"]
    texts = {INCUMBENT: state["incumbent"]["text"], ordinal: survivor["text"]}
    known = {INCUMBENT: state["incumbent"]["version"], **stored_versions([survivor])}
    trial_store = await TrialStore.read(context, state["healing_id"], state["agent"], texts, known)
    test, budget_spent = await _run(trial_store, ordinal, state, context.settings.heal_concurrency)
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


async def _run(
    trial_store: TrialStore, arm: int, state: State, width: int
) -> tuple[GateTest, bool]:
    """Run pairs in a fixed order, a few at once, as long as they can still change the decision.

    Returns:
        How far it came, and whether the budget ended it.
    """
    split = state["split"]
    cases = {case["id"]: case for case in (*split["hold_out"], *split["regression"])}
    ids = GateCases(_ids(split["hold_out"]), _ids(split["regression"]), split["pinned"])
    test = gate_test(ids, width, shortening=is_shortening(state.get("trigger")))
    try:
        while batch := test.next():
            held = not test.proven
            chosen = [cases[each] for each in batch]
            found = await _pairs(trial_store, arm, chosen, split["pinned"], hold_out=held)
            test.add(len(batch), found)
    except BudgetSpentError:
        return test, True
    return test, False


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
