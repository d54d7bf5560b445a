"""edits: undo what a candidate adds and drops, as far as no failing case misses it."""

import asyncio
import json
import logging

from langgraph.runtime import Runtime
from pydantic import BaseModel, Field

from selfheal.app.aio import gather_bounded
from selfheal.app.errors import RunError
from selfheal.app.llm.client import CALLS_AN_ANSWER
from selfheal.app.llm.untrusted import RULE, fence
from selfheal.db import healings, prompts, trials
from selfheal.optimizer.context import OptimizerContext, RuntimeContext, optimizer_context
from selfheal.optimizer.evaluation.trials import TrialStore, is_evidence
from selfheal.optimizer.guardrails.reference import AUTHOR
from selfheal.optimizer.instructions import load
from selfheal.optimizer.nodes.shorten import candidate_row
from selfheal.optimizer.policy.added_clauses import (
    Attempt,
    EditTest,
    Trusted,
    edit_test,
    fate_reason,
    reduced,
    report,
)
from selfheal.optimizer.records.candidates import Proposal
from selfheal.optimizer.records.cases import GENERATED, Case
from selfheal.optimizer.state import State
from selfheal.optimizer.text.edits import exempt_sentences

logger = logging.getLogger(__name__)


class CalledFor(BaseModel):
    """Which additions to a prompt the failures do not call for."""

    uncalled: list[str] = Field(
        description="The additions that these failures do not call for, each copied exactly"
    )


async def edits(state: State, runtime: Runtime[RuntimeContext]) -> State:
    """Reduce the survivor to what the failing cases call for. What was live before is exempt."""
    context = optimizer_context(runtime)
    survivor = next(each for each in state["proposals"] if each["ordinal"] == state["survivor"])
    if survivor["origin"] not in GENERATED:
        return State(survivor=survivor["ordinal"])
    async with context.database.connection() as connection:
        await healings.enter(connection, context.hold(state["healing_id"]), "edits")
    split = state["split"]
    cases = [*split["train"], *split.get("aside", [])]
    train = [case["id"] for case in cases]
    trial_store = await TrialStore.read(context, state["healing_id"], state["agent"], {}, {})
    trusted = await _trusted(context, state, survivor)
    test = await asyncio.to_thread(
        edit_test,
        state["agent"],
        survivor,
        trusted,
        train,
        [trial for trial in trial_store.done.values() if is_evidence(trial)],
        sum(each["arms"] for each in state.get("edit_tests", [])) + 1,
    )
    await _run(context, trial_store, test, cases)
    found = report(test, survivor, trusted, await _doubted(context, state, test))
    proposals = state["proposals"]
    rest = reduced(test, survivor, found, len(proposals) + 1)
    if rest:
        found["reduced"] = rest["ordinal"]
        async with context.database.connection() as connection:
            await trials.add_candidate(connection, candidate_row(state["healing_id"], rest))
    why = fate_reason(found)
    tested: Proposal = {**survivor, "fate": "edits", "reason": why} if why else survivor
    reached = None if found["reason"] else (rest or survivor)["ordinal"]
    return State(
        proposals=[
            *(tested if each is survivor else each for each in proposals),
            *([rest] if rest else []),
        ],
        survivor=reached,
        edit_tests=[*state.get("edit_tests", []), found],
        unjudged=trial_store.unjudged(state),
    )


async def _trusted(context: OptimizerContext, state: State, survivor: Proposal) -> Trusted:
    """Return the texts to compare with: all versions that a person wrote, or that did well."""
    agent, incumbent = state["agent"], state["incumbent"]
    async with context.database.connection() as connection:
        versions = await prompts.versions(connection, agent)
    texts = [each.text for each in versions if each.author != AUTHOR]
    texts += [each["text"] for each in state["earlier"].get(agent, [])]
    texts += [good["text"]] if (good := state["last_goods"].get(agent)) else []
    exempt = await asyncio.to_thread(exempt_sentences, survivor["text"], texts)
    return Trusted(incumbent["text"], state["anchor"], exempt)


async def _run(
    context: OptimizerContext, trial_store: TrialStore, test: EditTest, train: list[Case]
) -> None:
    """Run the trials that the test asks for."""
    cases = {case["id"]: case for case in train}
    while attempt := test.next():
        trial_store.texts[attempt.arm] = attempt.text
        test.add(await _batch(context, trial_store, attempt, cases))


async def _batch(
    context: OptimizerContext, trial_store: TrialStore, attempt: Attempt, cases: dict[str, Case]
) -> list[bool | None]:
    async def one(due: tuple[str, int]) -> bool | None:
        case, take = due
        trial = await trial_store.trial("edits", attempt.arm, cases[case], take)
        return trial.passed if trial else None

    return await gather_bounded(context.settings.heal_concurrency, one, attempt.batch)


async def _doubted(context: OptimizerContext, state: State, test: EditTest) -> list[str]:
    """Ask a model which of the remaining additions the failures do not call for.

    It can only demand an approval: what untrusted text makes it accept was tested all the same. If
    it gives no usable answer, the test alone decides.
    """
    left = test.left()
    if not left:
        return []
    message = "\n\n".join(
        (
            RULE,
            f"The {state['agent']}'s prompt under which the runs failed:",
            fence("prompt", state["incumbent"]["text"]),
            fence("failures", "\n".join(json.dumps(each) for each in state["evidence"])),
            "The additions to that prompt:",
            fence("additions", json.dumps(left, indent=1)),
        )
    )
    hold = context.hold(state["healing_id"])
    work = context.model.fill(load("called_for"), message, CalledFor)
    try:
        answer, _ = await context.budget.charge(hold, CALLS_AN_ANSWER, work)
    except RunError as error:
        logger.warning("healing %s: additions were not reviewed: %s", hold.id, error)
        return []
    return [each for each in left if each in answer.content.uncalled]
