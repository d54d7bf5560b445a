"""trim and halve: the live prompt with sentences left out, in place of a proposer's candidates."""

from uuid import UUID

from langgraph.runtime import Runtime

from selfheal.app.aio import gather_all
from selfheal.db import healings, trials
from selfheal.db.trials import Candidate
from selfheal.optimizer import outcomes
from selfheal.optimizer.context import OptimizerContext, RuntimeContext, optimizer_context
from selfheal.optimizer.evaluation.trials import INCUMBENT, TrialStore
from selfheal.optimizer.policy.ablation import Ablation, contender, half
from selfheal.optimizer.policy.superiority import Pair, paired
from selfheal.optimizer.records.candidates import Proposal
from selfheal.optimizer.records.cases import Case
from selfheal.optimizer.state import State


async def trim(state: State, runtime: Runtime[RuntimeContext]) -> State:
    """Try the prompt without one sentence after another; what may go together goes to the gate."""
    context = optimizer_context(runtime)
    async with context.database.connection() as connection:
        await healings.enter(connection, context.hold(state["healing_id"]), "screen")
    texts = {INCUMBENT: state["incumbent"]["text"]}
    live = {INCUMBENT: state["incumbent"]["version"]}
    trial_store = await TrialStore.read(context, state["healing_id"], state["agent"], texts, live)
    ablation = Ablation(state["agent"], texts[INCUMBENT])
    while attempt := ablation.next():
        ordinal = attempt.proposal["ordinal"]
        texts[ordinal] = attempt.proposal["text"]
        cases = state["split"]["train"][attempt.first : attempt.last]
        ablation.add(await _pairs(trial_store, ordinal, cases))
    await _store(context, state, ablation.proposals)
    survivor = contender(ablation.proposals)
    unjudged = trial_store.unjudged(state)
    tried = State(round=1, proposals=ablation.proposals, unjudged=unjudged)
    if survivor is None:
        ended = outcomes.nothing_to_shorten(ablation.proposals, unjudged)
        return {**tried, "outcome": ended.outcome, "reason": ended.reason}
    return {**tried, "survivor": survivor["ordinal"]}


async def halve(state: State, runtime: Runtime[RuntimeContext]) -> State:
    """Send half of what may go to the gate, since all of it was too much."""
    old = state["proposals"]
    last = state["gates"][-1]["ordinal"]
    new = half(state["agent"], state["incumbent"]["text"], old, last)
    assert new is not None  # noqa: S101 - or the graph would not have come here
    await _store(optimizer_context(runtime), state, [new])
    return State(proposals=[*old, new], survivor=new["ordinal"])


async def _store(context: OptimizerContext, state: State, proposals: list[Proposal]) -> None:
    async with context.database.connection() as connection:
        for each in proposals:
            await trials.add_candidate(connection, candidate_row(state["healing_id"], each))


async def _pairs(trial_store: TrialStore, arm: int, cases: list[Case]) -> list[Pair]:
    async def one(case: Case) -> Pair | None:
        old = await trial_store.trial("screen", INCUMBENT, case)
        new = await trial_store.trial("screen", arm, case)
        return paired(case["id"], hold_out=False, old=old, new=new)

    return [pair for pair in await gather_all(*map(one, cases)) if pair]


def candidate_row(healing_id: str, proposal: Proposal) -> Candidate:
    """Return a proposal as it is stored."""
    return Candidate(
        healing_id=UUID(healing_id),
        ordinal=proposal["ordinal"],
        round=proposal["round"],
        origin=proposal["origin"],
        text=proposal["text"],
        rationale=proposal["rationale"],
    )
