"""sample: cases from the failed runs, and an honest split."""

import asyncio
from typing import Any, Final
from uuid import UUID

from langgraph.runtime import Runtime

from selfheal.db import golden_requests as stored_requests
from selfheal.db import healings, runs, trials
from selfheal.db.pool import Connection
from selfheal.optimizer.context import Given, doctor_of
from selfheal.optimizer.dataset import failure_digest
from selfheal.optimizer.dataset.cases import (
    case_from_golden_request,
    case_from_run,
    golden_requests,
)
from selfheal.optimizer.dataset.golden_verdicts import golden_verdicts
from selfheal.optimizer.dataset.labelled import (
    case_from_feedback,
    case_from_golden_verdict,
    split_labelled,
)
from selfheal.optimizer.dataset.split import deduplicate, fingerprint, split
from selfheal.optimizer.dataset.tenant_quota import apply_quota
from selfheal.optimizer.policy.ablation import Trimming, set_aside
from selfheal.optimizer.state import Case, Split, State, on_diet

MOST_RUNS: Final = 200
MOST_MARKED: Final = 20


async def sample(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Divide cases of the agent in question into train, hold-out and regression."""
    doctor = doctor_of(runtime)
    async with doctor.database.connection() as connection:
        await healings.enter(connection, doctor.hold(state["healing_id"]), "sample")
        if state["agent"] == "evaluator":
            return await _marked(connection, state)
        return await _failed(connection, state)


async def _failed(connection: Connection, state: State) -> dict[str, Any]:
    """Divide what failed, topped up with golden requests."""
    ids = [UUID(each) for each in state["failed_run_ids"]]
    failed = apply_quota((await runs.of_ids(connection, ids))[::-1], MOST_RUNS)[::-1]
    if not failed:  # a forced pass over a healthy version: there is still something to read
        failed = apply_quota(
            await runs.recent(connection, limit=MOST_RUNS), failure_digest.MAX_EVIDENCE
        )
    cases = [case_from_run(run) for run in failed]
    # Each is compared with each, by all of its words: not in the event loop.
    production = await asyncio.to_thread(deduplicate, cases)
    own = [case_from_golden_request(each) for each in await stored_requests.list_all(connection)]
    proof = (*golden_requests(), *own)
    known = [case["id"] for case in (*production, *proof)]
    looks = await trials.looks(connection, UUID(state["healing_id"]), known)
    divided = await asyncio.to_thread(
        split,
        production,
        proof,
        pinned=_cases(await healings.healed_cases(connection, state["agent"])),
        looks=looks,
        order=state["healing_id"],
    )
    if state["agent"] == "manager":
        divided = _stated(divided)
    if on_diet(state):  # nobody is shown a run
        count = Trimming(state["agent"], state["incumbent"]["text"]).cases
        return {"split": set_aside(divided, count), "evidence": []}
    train = {case["id"] for case in divided["train"]}
    shown = [run for run, case in zip(failed, cases, strict=True) if case["id"] in train]
    return {
        "split": divided,
        "evidence": [
            failure_digest.digest_run(run) for run in shown[: failure_digest.MAX_EVIDENCE]
        ],
    }


async def _marked(connection: Connection, state: State) -> dict[str, Any]:
    """Divide programs with known marks. No run is a case by what this judge said of it."""
    marks = await runs.marked(connection, MOST_MARKED * 10)
    by_id = {run.id: run for run in await runs.of_ids(connection, list(marks))}
    judged = apply_quota([by_id[each] for each in marks], MOST_MARKED)
    verdicts = [case_from_golden_verdict(each) for each in golden_verdicts()]
    people = [case_from_feedback(run, marks[run.id]) for run in judged]
    known = [case["id"] for case in (*verdicts, *people)]
    looks = await trials.looks(connection, UUID(state["healing_id"]), known)
    divided = await asyncio.to_thread(split_labelled, verdicts, people, looks)
    return {
        "split": divided,
        "evidence": failure_digest.digest_labelled(divided["train"], state.get("opinions", {})),
    }


def _stated(divided: Split) -> Split:
    """Keep what states examples: a manager is not to be judged by those that it infers itself."""
    train, hold_out, regression = (
        [case for case in side if case["examples"]]
        for side in (divided["train"], divided["hold_out"], divided["regression"])
    )
    kept = {case["id"] for case in (*hold_out, *regression)}
    return Split(
        train=train,
        hold_out=hold_out,
        regression=regression,
        fingerprint=fingerprint(train, hold_out, regression),
        looks=divided["looks"],
        pinned=[each for each in divided["pinned"] if each in kept],
    )


def _cases(pinned: list[dict[str, Any]]) -> list[Case]:
    return [
        Case(id=each["id"], source="production", request=each["request"], examples=each["examples"])
        for each in pinned
    ]
