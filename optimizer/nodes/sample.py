"""sample: cases from the failed runs, divided into training, held-out and regression."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from langgraph.runtime import Runtime

from selfheal.db import golden_requests as stored_requests
from selfheal.db import healings, runs, trials
from selfheal.db.pool import Connection
from selfheal.optimizer.context import RuntimeContext, optimizer_context
from selfheal.optimizer.dataset import failure_digest, kept
from selfheal.optimizer.dataset.cases import (
    PRODUCTION,
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
from selfheal.optimizer.policy.ablation import Ablation, reserve, set_aside
from selfheal.optimizer.policy.added_clauses import CASES, MORE_CASES
from selfheal.optimizer.records.candidates import KeptCandidate
from selfheal.optimizer.records.cases import Case, Split
from selfheal.optimizer.state import State, is_shortening

MOST_RUNS: Final = 200
MOST_MARKED: Final = 20


async def sample(state: State, runtime: Runtime[RuntimeContext]) -> State:
    """Divide cases of the agent in question into training, held-out and regression."""
    context = optimizer_context(runtime)
    async with context.database.connection() as connection:
        await healings.enter(connection, context.hold(state["healing_id"]), "sample")
        if "kept_candidate" in state:
            return await _kept(connection, state, state["kept_candidate"])
        if state["agent"] == "evaluator":
            return await _marked(connection, state)
        return await _failed(connection, state)


async def _failed(connection: Connection, state: State) -> State:
    """Divide what failed, topped up with golden requests."""
    ids = [UUID(each) for each in state["failed_run_ids"]]
    failed = apply_quota((await runs.of_ids(connection, ids))[::-1], MOST_RUNS)[::-1]
    if not failed:  # a forced healing of a healthy version: there is still something to read
        failed = apply_quota(
            await runs.recent(connection, limit=MOST_RUNS), failure_digest.MAX_EVIDENCE
        )
    cases = [case_from_run(run) for run in failed]
    # Every pair is compared word by word: not in the event loop.
    production = await asyncio.to_thread(deduplicate, cases)
    proof = await _golden(connection)
    known = [case["id"] for case in (*production, *proof)]
    looks = await trials.looks(connection, UUID(state["healing_id"]), known)
    divided = await asyncio.to_thread(
        split,
        production,
        proof,
        pinned=_cases(await healings.healed_cases(connection, state["agent"])),
        looks=looks,
        order=state["healing_id"],
        trained=await healings.trained_cases(connection, known),
    )
    if state["agent"] == "manager":
        divided = _stated(divided)
    if is_shortening(state.get("trigger")):  # no model is shown a run
        count = Ablation(state["agent"], state["incumbent"]["text"]).cases
        return State(split=set_aside(divided, count), evidence=[], evidence_tenants=[])
    divided = reserve(divided, CASES[state["agent"]] + MORE_CASES[state["agent"]])
    train = {case["id"] for case in divided["train"]}
    shown = [run for run, case in zip(failed, cases, strict=True) if case["id"] in train]
    shown = shown[: failure_digest.MAX_EVIDENCE]
    return State(
        split=divided,
        evidence=[failure_digest.digest_run(run) for run in shown],
        evidence_tenants=_numbered([run.tenant for run in shown]),
    )


async def _golden(connection: Connection) -> list[Case]:
    own = [case_from_golden_request(each) for each in await stored_requests.list_all(connection)]
    return [*golden_requests(), *own]


async def _kept(connection: Connection, state: State, candidate: KeptCandidate) -> State:
    """Hold out what failed since a candidate was kept. There is nothing to diagnose."""
    live = {agent: version["version"] for agent, version in state["incumbents"].items()}
    own = await kept.own_runs(connection, candidate)
    new = await kept.new_failures(connection, candidate, live)
    train, hold_out = await asyncio.to_thread(kept.divide, candidate, own, new)
    proof = await _golden(connection)
    known = [case["id"] for case in (*hold_out, *proof)]
    divided = await asyncio.to_thread(
        kept.split_kept,
        train,
        hold_out,
        proof,
        pinned=_cases(await healings.healed_cases(connection, state["agent"])),
        looks=await trials.looks(connection, UUID(state["healing_id"]), known),
        order=state["healing_id"],
    )
    return State(split=_stated(divided) if state["agent"] == "manager" else divided, evidence=[])


async def _marked(connection: Connection, state: State) -> State:
    """Divide programs with known marks. What this judge said of a run is no mark."""
    marks = await runs.marked(connection, MOST_MARKED * 10)
    by_id = {run.id: run for run in await runs.of_ids(connection, list(marks))}
    judged = apply_quota([by_id[each] for each in marks], MOST_MARKED)
    verdicts = [case_from_golden_verdict(each) for each in golden_verdicts()]
    people = [case_from_feedback(run, marks[run.id]) for run in judged]
    known = [case["id"] for case in (*verdicts, *people)]
    looks = await trials.looks(connection, UUID(state["healing_id"]), known)
    divided = await asyncio.to_thread(split_labelled, verdicts, people, looks)
    return State(
        split=divided,
        evidence=failure_digest.digest_labelled(divided["train"], state.get("opinions", {})),
        evidence_tenants=[],
    )


def _stated(divided: Split) -> Split:
    """Keep cases that state examples: a manager is not judged by those that it infers itself."""
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


def _numbered(tenants: Sequence[str]) -> list[int]:
    """Return a number for each tenant: no model and no receipt needs to see its name."""
    numbers = {tenant: number for number, tenant in enumerate(dict.fromkeys(tenants))}
    return [numbers[tenant] for tenant in tenants]


def _cases(pinned: Sequence[Mapping[str, Any]]) -> list[Case]:
    return [
        Case(
            id=each["id"],
            source="production",
            request=each["request"],
            examples=each["examples"],
            kind=PRODUCTION,
        )
        for each in pinned
    ]
