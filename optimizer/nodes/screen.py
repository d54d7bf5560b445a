"""screen: a few trials on training cases; clear losers go, one survivor reaches the gate."""

from collections.abc import Mapping, Sequence

from langgraph.runtime import Runtime

from selfheal.app.aio import gather_bounded
from selfheal.db import healings
from selfheal.db.types import Trial
from selfheal.optimizer.context import OptimizerContext, RuntimeContext, optimizer_context
from selfheal.optimizer.evaluation.trials import TrialStore, stored_versions
from selfheal.optimizer.policy import screening
from selfheal.optimizer.policy.screening import Rule
from selfheal.optimizer.records.candidates import Proposal, ScreenReport
from selfheal.optimizer.records.cases import PREVIOUSLY_LIVE, Case
from selfheal.optimizer.state import State


async def screen(state: State, runtime: Runtime[RuntimeContext]) -> State:
    """Run the proposals that remain on training cases; keep the best."""
    context = optimizer_context(runtime)
    async with context.database.connection() as connection:
        await healings.enter(connection, context.hold(state["healing_id"]), "screen")
    remaining = [each for each in state["proposals"] if screening.remains(each)]
    texts = {each["ordinal"]: each["text"] for each in remaining}
    known = stored_versions(remaining)
    trial_store = await TrialStore.read(context, state["healing_id"], state["agent"], texts, known)
    train = state["split"]["train"]
    least = screening.bar(state["agent"], state["judge"]["usual"])
    rule = Rule(state["agent"], least, len(train))
    results = await run_trials(context, trial_store, rule, train, list(texts))
    proven = {each["ordinal"] for each in remaining if each["origin"] in PREVIOUSLY_LIVE}
    found = screening.report(rule, results, proven)
    reported = ScreenReport(
        bar=found["bar"],
        results=found["results"],
        survivor=found["survivor"],
        round=state["round"],
    )
    screens = [*state.get("screens", []), reported]
    proposals = [_with_fate(each, reported) for each in state["proposals"]]
    return State(
        proposals=proposals,
        survivor=reported["survivor"],
        unjudged=trial_store.unjudged(state),
        screens=screens,
    )


async def run_trials(
    context: OptimizerContext,
    trial_store: TrialStore,
    rule: Rule,
    train: Sequence[Case],
    arms: Sequence[int],
) -> Mapping[int, list[Trial]]:
    """Run as many trials of each arm as the rule wants, on one case after another.

    Where there are fewer cases than trials, a case is tried again, as another take.
    """
    results: dict[int, list[Trial]] = {arm: [] for arm in arms}
    attempts = dict.fromkeys(arms, 0)

    async def one(due: tuple[int, int]) -> tuple[int, Trial | None]:
        arm, place = due
        take, at = divmod(place, len(train))
        return arm, await trial_store.trial("screen", arm, train[at], take)

    while True:
        batch: list[tuple[int, int]] = []
        for arm in arms:
            count = screening.due(rule, results[arm], attempts[arm])
            batch += [(arm, attempts[arm] + place) for place in range(count)]
            attempts[arm] += count
        if not batch:
            return results
        for arm, trial in await gather_bounded(context.settings.heal_concurrency, one, batch):
            results[arm] += [trial] if trial else []


def _with_fate(proposal: Proposal, reported: ScreenReport) -> Proposal:
    """Give a fate to all that were tried but the best."""
    ordinal, best = proposal["ordinal"], reported["survivor"]
    own = next((each for each in reported["results"] if each["ordinal"] == ordinal), None)
    if own is None:
        return proposal
    if ordinal == best:
        return {**proposal, "fate": "", "reason": None}
    return {**proposal, "fate": "screen", "reason": screening.lost(own, best)}
