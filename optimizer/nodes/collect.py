"""collect: keep a candidate that helps on training cases, but has too few cases to prove it on."""

from langgraph.runtime import Runtime

from selfheal.db import healings
from selfheal.optimizer import outcomes
from selfheal.optimizer.context import OptimizerContext, RuntimeContext, optimizer_context
from selfheal.optimizer.dataset.cases import production_ids
from selfheal.optimizer.evaluation.trials import INCUMBENT, TrialStore
from selfheal.optimizer.nodes.screen import run_trials
from selfheal.optimizer.policy import collecting, screening
from selfheal.optimizer.policy.screening import Rule
from selfheal.optimizer.records.candidates import Keeping
from selfheal.optimizer.records.cases import Count
from selfheal.optimizer.state import State


async def collect(state: State, runtime: Runtime[RuntimeContext]) -> State:
    """Decide whether the candidate of the last gate is kept.

    The incumbent runs on the candidate's training cases first: it must still fail them.
    """
    context = optimizer_context(runtime)
    async with context.database.connection() as connection:
        await healings.enter(connection, context.hold(state["healing_id"]), "screen")
    gate = state["gates"][-1]
    production = production_ids(each["id"] for each in state["split"]["hold_out"])
    incumbent: Count | None = None
    unjudged = state.get("unjudged")
    if "kept_candidate" in state:
        kept, reason = collecting.decide_again(gate, production)
    else:
        incumbent, trial_store = await _incumbent(context, state)
        unjudged = trial_store.unjudged(state)
        tests = state.get("edit_tests", [])
        kept, reason = collecting.decide(gate, state["screens"], production, incumbent, tests)
    keeping = Keeping(
        ordinal=gate["ordinal"],
        kept=kept,
        reason=reason,
        incumbent=incumbent,
        held_out=collecting.tried_cases(gate, production),
    )
    found = State(keeping=[*state.get("keeping", []), keeping])
    if unjudged:
        found["unjudged"] = unjudged
    if ended := outcomes.kept([keeping]):
        return {**found, "outcome": ended.outcome, "reason": ended.reason}
    return found


async def _incumbent(context: OptimizerContext, state: State) -> tuple[Count, TrialStore]:
    """Return how many trials on training cases the incumbent passes, of how many."""
    live, train = state["incumbent"], state["split"]["train"]
    trial_store = await TrialStore.read(
        context,
        state["healing_id"],
        state["agent"],
        {INCUMBENT: live["text"]},
        {INCUMBENT: live["version"]},
    )
    rule = Rule(state["agent"], screening.bar(state["agent"], None), len(train))
    results = await run_trials(context, trial_store, rule, train, [INCUMBENT])
    trials = results[INCUMBENT]
    return (sum(each.passed for each in trials), len(trials)), trial_store
