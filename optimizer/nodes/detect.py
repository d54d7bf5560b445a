"""detect: read how the live versions do, and decide whether a healing is to be opened."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from langgraph.runtime import Runtime

from selfheal.db import healings, prompts, runs
from selfheal.db.healings import Healing
from selfheal.db.pool import Connection
from selfheal.db.prompts import Prompt
from selfheal.db.runs import Errors, Run
from selfheal.db.types import AGENTS, Agent
from selfheal.optimizer.context import RuntimeContext, optimizer_context
from selfheal.optimizer.dataset.kept import is_due, kept_candidates, new_failures
from selfheal.optimizer.dataset.predecessors import earlier_versions
from selfheal.optimizer.policy.detection import (
    Limits,
    NoHealing,
    PastHealing,
    Record,
    Situation,
    budget_exhausted,
    decide,
    decide_shortening,
    last_good,
)
from selfheal.optimizer.state import NewestError, State, Version, is_shortening

_WORKING: Final[tuple[Agent, ...]] = ("manager", "worker")


async def detect(state: State, runtime: Runtime[RuntimeContext]) -> State:
    """Look at the failure window of what is live: of all three agents together."""
    context = optimizer_context(runtime)
    minutes = context.settings.failure_window_minutes
    async with context.database.connection() as connection:
        live = _versions([await prompts.released(connection, agent) for agent in AGENTS])
        numbers = {agent: live[agent]["version"] for agent in AGENTS}
        ended = await runs.window(connection, numbers, minutes=minutes)
        errors = await runs.errors(connection, minutes=minutes)
        tried = await _tried(connection, numbers)
        situation = await _situation(connection, numbers, ended, errors, tried, minutes)
        goods = await _last_goods(connection, situation, numbers)
        earlier = {
            agent: await earlier_versions(connection, version, agent, goods.get(agent))
            for agent, version in live.items()
        }
        due = await _kept_candidate_due(connection, state, numbers)
        decided = await _decide(
            connection, state, live, situation, context.settings, kept=due is not None
        )
    shortening = is_shortening(state.get("trigger"))
    found = State(
        incumbents=live,
        last_goods=goods,
        earlier=earlier,
        tried=sorted({each.agent for each in tried if _is_in_vain(each)}),
        # Shortening looks at what is requested, whether that failed or not.
        failed_run_ids=[] if shortening else [str(run.id) for run in failures(ended)],
        **_counted_out(errors),
    )
    if decided:
        return {**found, **decided._asdict()}  # type: ignore[typeddict-item]
    return {**found, **due} if due else found


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
) -> NoHealing | None:
    """Return why no healing is to be opened; None if one is, or was forced.

    A kept candidate that can be proven waits for nothing but the day's budget.
    """
    if kept and not state.get("forced"):
        spent = budget_exhausted(situation, limits)
        return NoHealing("cooling_down", spent) if spent else None
    if not is_shortening(state.get("trigger")):
        return None if state.get("forced") else decide(situation, limits)
    agent = state["agent"]
    shortened = await healings.shortened(connection, agent, live[agent]["version"])
    return decide_shortening(agent, live[agent], situation, limits, shortened=shortened)


def failures(ended: Iterable[Run]) -> list[Run]:
    """Return the runs that a prompt may have caused to fail, in their order."""
    return [run for run in ended if run.outcome in ("failed", "output")]


def _counted_out(errors: Errors | None) -> State:
    """Return the runs that no prompt can have caused to fail, and why the newest one did."""
    if errors is None:
        return State(errors=0)
    newest = NewestError(run_id=str(errors.run_id), outcome=errors.outcome, message=errors.message)
    return State(errors=errors.count, newest_error=newest)


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


async def _situation(
    connection: Connection,
    live: Mapping[Agent, int],
    ended: list[Run],
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
        runs=len(ended),
        failures=[run.finished_at or run.created_at for run in failures(ended)],
        errors=errors.count if errors else 0,
        records={
            agent: {version: Record(*counts) for version, counts in found.items()}
            for agent, found in records.items()
        },
        tried=[
            PastHealing(each.closed_at or now, each.errored, str(each.id) in keeping)
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
