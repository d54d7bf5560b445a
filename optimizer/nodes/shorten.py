"""trim and halve: the live prompt with sentences left out, in place of what a writer proposes."""

from typing import Any

from langgraph.runtime import Runtime

from selfheal.app.aio import gather_all
from selfheal.db import healings, trials
from selfheal.db.trials import Candidate
from selfheal.optimizer import outcomes
from selfheal.optimizer.context import Doctor, Given, doctor_of
from selfheal.optimizer.evaluation.trials import INCUMBENT, TrialStore
from selfheal.optimizer.policy.ablation import Trimming, contender, following, half
from selfheal.optimizer.policy.superiority import Pair, paired
from selfheal.optimizer.state import Case, Proposal, State


async def trim(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Try the prompt without one sentence after another; what may go together goes to the gate."""
    doctor = doctor_of(runtime)
    hold = doctor.hold(state["healing_id"])
    async with doctor.database.connection() as connection:
        await healings.enter(connection, hold, "screen")
    texts = {INCUMBENT: state["incumbent"]["text"]}
    live = {INCUMBENT: state["incumbent"]["version"]}
    trial_store = await TrialStore.read(doctor, state["healing_id"], state["agent"], texts, live)
    trimming = Trimming(state["agent"], texts[INCUMBENT])
    trying = trimming.attempts()
    attempt = next(trying, None)
    while attempt:
        proposal, first, last = attempt
        texts[proposal["ordinal"]] = proposal["text"]
        pairs = await _pairs(trial_store, proposal["ordinal"], state["split"]["train"][first:last])
        attempt = following(trying, pairs)
    await _keep(doctor, state, trimming.proposals)
    survivor = contender(trimming.proposals)
    unjudged = trial_store.unjudged(state)
    tried = {"round": 1, "proposals": trimming.proposals, "unjudged": unjudged}
    if survivor is None:
        return {**tried, **outcomes.lean(trimming.proposals, unjudged)._asdict()}
    return {**tried, "survivor": survivor["ordinal"]}


async def halve(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Send half of what may go to the gate, since all of it was too much."""
    old = state["proposals"]
    last = state["gates"][-1]["ordinal"]
    new = half(state["agent"], state["incumbent"]["text"], old, last)
    assert new is not None  # noqa: S101 - or the graph would not have come here
    await _keep(doctor_of(runtime), state, [new])
    return {"proposals": [*old, new], "survivor": new["ordinal"]}


async def _keep(doctor: Doctor, state: State, proposals: list[Proposal]) -> None:
    async with doctor.database.connection() as connection:
        for each in proposals:
            candidate = _candidate(doctor.hold(state["healing_id"]).id, each)
            await trials.add_candidate(connection, candidate)


async def _pairs(trial_store: TrialStore, arm: int, cases: list[Case]) -> list[Pair]:
    async def one(case: Case) -> Pair | None:
        old = await trial_store.trial("screen", INCUMBENT, case)
        new = await trial_store.trial("screen", arm, case)
        return paired(case["id"], hold_out=False, old=old, new=new)

    return [pair for pair in await gather_all(*map(one, cases)) if pair]


def _candidate(healing_id: Any, proposal: Proposal) -> Candidate:
    return Candidate(
        healing_id=healing_id,
        ordinal=proposal["ordinal"],
        round=proposal["round"],
        origin=proposal["origin"],
        text=proposal["text"],
        rationale=proposal["rationale"],
    )
