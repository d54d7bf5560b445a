"""detect: read how the live versions do, and decide whether a healing is to be opened."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from langgraph.runtime import Runtime

from selfheal.db import healings, prompts, runs
from selfheal.db.healings import Healing
from selfheal.db.pool import Connection
from selfheal.db.prompts import Prompt
from selfheal.db.runs import Errors
from selfheal.db.types import AGENTS, Agent
from selfheal.optimizer.context import RuntimeContext, optimizer_context
from selfheal.optimizer.dataset.kept import is_due, kept_candidates, new_failures
from selfheal.optimizer.dataset.predecessors import earlier_versions
from selfheal.optimizer.policy.detection import (
    MOST_RUNS,
    CountableRun,
    Limits,
    NoHealing,
    PastHealing,
    Record,
    Situation,
    budget_exhausted,
    decide,
    decide_shortening,
    failures_to_read,
    last_good,
)
from selfheal.optimizer.records.cases import Count, Version
from selfheal.optimizer.records.detection import NewestError
from selfheal.optimizer.state import State, is_shortening

_WORKING: Final[tuple[Agent, ...]] = ("manager", "worker")


async def detect(state: State, runtime: Runtime[RuntimeContext]) -> State:
    """Look at the runs under what is live: of all three agents together."""
    context = optimizer_context(runtime)
    minutes = context.settings.failure_window_minutes
    async with context.database.connection() as connection:
        live = _versions([await prompts.released(connection, agent) for agent in AGENTS])
        numbers = {agent: live[agent]["version"] for agent in AGENTS}
        ended = await runs.countable(connection, numbers, limit=MOST_RUNS)
        errors = await runs.errors(connection, minutes=minutes)
        tried = await _tried(connection, numbers)
        situation = await _situation(connection, numbers, ended[::-1], errors, tried, minutes)
        goods = await _last_goods(connection, situation, numbers)
        earlier = {
            agent: await earlier_versions(connection, version, agent, goods.get(agent))
            for agent, version in live.items()
        }
        due = await _kept_candidate_due(connection, state, numbers)
        found, no_healing = await _decide(
            connection, state, live, situation, context.settings, kept=due is not None
        )
    updates = State(
        incumbents=live,
        last_goods=goods,
        earlier=earlier,
        tried=sorted({each.agent for each in tried if _is_in_vain(each)}),
        failed_run_ids=[],
        errors=situation.errors,
        **found,
    )
    if "detection" in found:  # shortening looks at what is requested, whether that failed or not
        failed = [str(run.id) for run in ended if run.failed]
        updates["failed_run_ids"] = failed[: failures_to_read(found["detection"])]
    if situation.newest_error:
        updates["newest_error"] = situation.newest_error
    if no_healing:
        return {**updates, **no_healing._asdict()}  # type: ignore[typeddict-item]
    return {**updates, **due} if due else updates


async def _kept_candidate_due(
    connection: Connection, state: State, live: Mapping[Agent, int]
) -> State | None:
    """Return the candidate of an earlier healing that can be proven now, with its new failures."""
    if is_shortening(state.get("trigger")):
        return None
    asked = state.get("agent")
    for agent, candidate in (await kept_candidates(connection, live)).items():
        if asked in (None, agent) and await is_due(connection, candidate, live):
            new = await new_failures(connection, candidate, live)
            ids = [str(run.id) for run in new]
            return State(agent=agent, kept_candidate=candidate, failed_run_ids=ids)
    return None


async def _decide(
    connection: Connection,
    state: State,
    live: Mapping[Agent, Version],
    situation: Situation,
    limits: Limits,
    *,
    kept: bool,
) -> tuple[State, NoHealing | None]:
    """Return what was detected, and why no healing is to be opened; None if one is, or is forced.

    Nothing is detected where a prompt is to be shortened. A kept candidate that can be proven waits
    for nothing but the day's budget.
    """
    if kept and not state.get("forced"):
        spent = budget_exhausted(situation, limits)
        return State(), NoHealing("cooling_down", spent) if spent else None
    if not is_shortening(state.get("trigger")):
        decided = decide(situation, limits)
        no_healing = None if state.get("forced") else decided.no_healing
        return State(detection=decided.detection), no_healing
    agent = state["agent"]
    shortened = await healings.shortened(connection, agent, live[agent]["version"])
    return State(), decide_shortening(agent, live[agent], situation, limits, shortened=shortened)


def _newest_error(errors: Errors | None) -> NewestError | None:
    """Return the newest run that failed for a reason that no prompt can have caused."""
    if errors is None:
        return None
    return NewestError(run_id=str(errors.run_id), outcome=errors.outcome, message=errors.message)


def _is_in_vain(healing: Healing) -> bool:
    return healing.outcome == "rejected" and not healing.errored


def _versions(found: Iterable[Prompt]) -> dict[Agent, Version]:
    return {each.agent: Version(version=each.version, text=each.text) for each in found}


async def _tried(connection: Connection, live: Mapping[Agent, int]) -> list[Healing]:
    """Return the closed healings of live versions that released nothing, newest first."""
    found = [
        healing
        for agent, version in live.items()
        for healing in await healings.of_version(connection, agent, version)
    ]
    now = datetime.now(UTC)
    return sorted(found, key=lambda each: each.closed_at or now, reverse=True)


def _seen(healing: Healing) -> Count:
    """Return how many of the runs that a healing looked at failed, of how many."""
    detection = (healing.receipt or {}).get("detection")
    return (detection["failures"], detection["runs"]) if isinstance(detection, dict) else (0, 0)


async def _situation(
    connection: Connection,
    live: Mapping[Agent, int],
    ended: list[runs.CountableRun],
    errors: Errors | None,
    tried: list[Healing],
    minutes: int,
) -> Situation:
    now = datetime.now(UTC)
    kept = await kept_candidates(connection, live)
    keeping = {each["healing_id"] for each in kept.values()}
    records = {
        agent: await runs.record(connection, agent, live, minutes=minutes) for agent in _WORKING
    }
    return Situation(
        runs=[CountableRun(run.failed, run.finished_at) for run in ended],
        errors=errors.count if errors else 0,
        newest_error=_newest_error(errors),
        records={
            agent: {version: Record(*counts) for version, counts in found.items()}
            for agent, found in records.items()
        },
        tried=[
            PastHealing(each.closed_at or now, each.errored, _seen(each), str(each.id) in keeping)
            for each in tried
        ],
        now=now,
        calls_today=await healings.reserved_today(connection),
    )


async def _last_goods(
    connection: Connection, situation: Situation, live: Mapping[Agent, int]
) -> dict[Agent, Version]:
    """Return the last good version of manager and worker, where one is known."""
    return _versions(
        [
            await prompts.get(connection, agent, good)
            for agent in _WORKING
            if (good := last_good(situation.records[agent], live[agent]))
        ]
    )
