"""What is old goes, what is needed stays, and runs are not disturbed."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from langsmith import uuid7

from bench.harness.healing import HealingHarness, ask, open_healing_harness
from bench.harness.processes import finished, selfheal
from selfheal.db import retention, runs
from selfheal.db.checkpoints import PoolSaver
from selfheal.db.claims import enqueue
from selfheal.db.pool import Database
from selfheal.db.run_requests import RunRequest
from selfheal.graph.build import build_graph

OLD, ANCIENT = "8 days", "100 days"


@pytest.fixture
async def harness(database: Database, gemini: str) -> AsyncIterator[HealingHarness]:
    async with open_healing_harness(database) as harness:
        yield harness


async def on_thread(harness: HealingHarness, thread: UUID, age: str) -> UUID:
    """Run on a thread, so long ago; return the run."""
    done = await harness.service.run(ask("slugify"), thread, stream_mode=["updates"])
    past = f"clock_timestamp() - interval '{age}'"
    await harness.execute(f"UPDATE threads SET updated_at = {past} WHERE id = '{thread}'")
    await harness.execute(
        f"UPDATE runs SET created_at = {past}, finished_at = {past} WHERE id = '{done.run_id}'"
    )
    return done.run_id


async def pruned(harness: HealingHarness) -> dict[Any, int]:
    return dict(await retention.prune(harness.database, runs_days=90, states_days=7, batch=2))


async def count(harness: HealingHarness, table: str, where: str) -> int:
    async with harness.database.connection() as connection:
        cursor = await connection.execute(f"SELECT count(*) AS n FROM {table} WHERE {where}")
        row = await cursor.fetchone()
    assert row is not None
    return int(row["n"])


@pytest.mark.every_database
async def test_a_quiet_thread_keeps_only_its_newest_state_and_continues(
    harness: HealingHarness,
) -> None:
    quiet, fresh = uuid4(), uuid4()
    await on_thread(harness, quiet, OLD)
    await on_thread(harness, fresh, "1 hour")
    of = {each: f"thread_id = '{each}'" for each in (quiet, fresh)}
    before = await count(harness, "checkpoints", of[fresh])
    config: Any = {"configurable": {"thread_id": str(quiet)}}
    graph = build_graph(PoolSaver(harness.database.pool))
    state = await graph.aget_state(config)
    assert before > 1
    found = await pruned(harness)
    assert (found["thread states"], found["runs"]) == (1, 0)
    assert await count(harness, "checkpoints", of[quiet]) == 1
    assert await count(harness, "checkpoint_writes", of[quiet]) == 0
    assert await count(harness, "checkpoints", of[fresh]) == before
    assert (await graph.aget_state(config)).values == state.values
    assert (await harness.service.run(ask("ordinal"), quiet)).thread_id == quiet
    assert (await pruned(harness))["thread states"] == 0


async def test_a_thread_with_a_run_under_way_is_left_alone(harness: HealingHarness) -> None:
    thread = uuid4()
    await on_thread(harness, thread, OLD)
    async with harness.database.transaction() as connection:
        request = RunRequest(id=uuid7(), thread_id=thread, assistant="agent")
        await enqueue(connection, request)
    assert (await pruned(harness))["thread states"] == 0


@pytest.mark.every_database
async def test_old_runs_go_but_for_those_that_people_marked(harness: HealingHarness) -> None:
    made = [await on_thread(harness, uuid4(), ANCIENT) for _ in range(4)]
    kept = await on_thread(harness, uuid4(), OLD)
    async with harness.database.connection() as connection:
        await runs.add_feedback(connection, made[0], score=1.0, comment="")
    assert (await pruned(harness))["runs"] == 3
    assert await count(harness, "runs", f"id IN ('{made[0]}', '{kept}')") == 2
    assert await count(harness, "runs", "true") == 2
    assert await count(harness, "evaluations", "true") == 2


@pytest.mark.every_database
async def test_what_ended_runs_streamed_goes_first(harness: HealingHarness) -> None:
    old = await on_thread(harness, uuid4(), OLD)
    fresh = await on_thread(harness, uuid4(), "1 hour")
    assert (await pruned(harness))["events"] > 0
    assert await count(harness, "run_events", f"run_id = '{old}'") == 0
    assert await count(harness, "run_events", f"run_id = '{fresh}'") > 0


@pytest.mark.parametrize(("closed", "left"), [(OLD, 0), ("1 hour", 1), (None, 1)])
async def test_a_closed_healing_needs_no_states(
    harness: HealingHarness, closed: str | None, left: int
) -> None:
    healing = uuid4()
    ended = f"clock_timestamp() - interval '{closed}'" if closed else "NULL"
    outcome = "'rejected'" if closed else "NULL"
    await harness.execute(
        "INSERT INTO healings (id, agent, trigger, state, incumbent_version, holder, lease_until,"
        f" outcome, closed_at) VALUES ('{healing}', 'worker', 'test', 'gate', 1, '{uuid4()}',"
        f" clock_timestamp(), {outcome}, {ended})"
    )
    await harness.execute(
        "INSERT INTO checkpoints (thread_id, checkpoint_id, checkpoint) VALUES"
        f" ('{healing}', '1', '{{}}')"
    )
    await pruned(harness)
    assert await count(harness, "checkpoints", f"thread_id = '{healing}'") == left


@pytest.mark.every_database
async def test_one_process_has_the_turn_of_an_hour(database: Database) -> None:
    async with database.connection() as connection:
        took = [await retention.take_turn(connection) for _ in range(3)]
    assert took.count(True) <= 2  # the hour may end between two
    assert took[0]
    assert not took[2] or not took[1]


async def test_the_command_says_what_it_forgot(
    harness: HealingHarness, service_env: dict[str, str]
) -> None:
    await on_thread(harness, uuid4(), OLD)
    env = {**service_env, "SELFHEAL_STATE_RETENTION_DAYS": "0"}
    _, out, _ = await finished(*selfheal("prune", "--json"), env=env)
    assert set(json.loads(out).values()) == {0}
    code, out, _ = await finished(*selfheal("prune", "--json"), env=service_env)
    assert (code, json.loads(out)["thread states"]) == (0, 1)
