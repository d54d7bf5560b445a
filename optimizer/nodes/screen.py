"""screen: a few training cases each; clear losers go, one survivor reaches the gate."""

from itertools import product

from langgraph.runtime import Runtime

from selfheal.app.aio import gather_bounded
from selfheal.db import healings
from selfheal.db.types import Trial
from selfheal.optimizer.context import OptimizerContext, RuntimeContext, optimizer_context
from selfheal.optimizer.evaluation.trials import TrialStore, stored_versions
from selfheal.optimizer.policy import screening
from selfheal.optimizer.state import PREVIOUSLY_LIVE, Case, Proposal, ScreenReport, State


async def screen(state: State, runtime: Runtime[RuntimeContext]) -> State:
    """Run the proposals that are not rejected yet on training cases; keep the best."""
    context = optimizer_context(runtime)
    async with context.database.connection() as connection:
        await healings.enter(connection, context.hold(state["healing_id"]), "screen")
    remaining = [each for each in state["proposals"] if not each["fate"]]
    texts = {each["ordinal"]: each["text"] for each in remaining}
    known = stored_versions(remaining)
    trial_store = await TrialStore.read(context, state["healing_id"], state["agent"], texts, known)
    results = await _run_trials(context, trial_store, state, list(texts))
    least = screening.bar(state["agent"], state["judge"]["usual"])
    proven = {each["ordinal"] for each in remaining if each["origin"] in PREVIOUSLY_LIVE}
    found = screening.report(results, proven, least)
    reported: ScreenReport = {**found, "round": state["round"]}
    return State(
        proposals=[_with_fate(each, reported) for each in state["proposals"]],
        survivor=reported["survivor"],
        unjudged=trial_store.unjudged(state),
        screens=[*state.get("screens", []), reported],
    )


async def _run_trials(
    context: OptimizerContext, trial_store: TrialStore, state: State, arms: list[int]
) -> dict[int, list[Trial]]:
    cases = state["split"]["train"][: screening.CASES[state["agent"]]]

    async def one(pair: tuple[int, Case]) -> tuple[int, Trial | None]:
        arm, case = pair
        return arm, await trial_store.trial("screen", arm, case)

    tried = await gather_bounded(context.settings.heal_concurrency, one, product(arms, cases))
    return {arm: [trial for at, trial in tried if at == arm and trial] for arm in arms}


def _with_fate(proposal: Proposal, reported: ScreenReport) -> Proposal:
    """Give a fate to all that were tried but the best."""
    ordinal = proposal["ordinal"]
    own = next((each for each in reported["results"] if each["ordinal"] == ordinal), None)
    if own is None or ordinal == reported["survivor"]:
        return proposal
    return {**proposal, "fate": "screen", "reason": screening.lost(own)}
