"""Runs are claimed by one process at a time, are never lost, and have one result."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any
from unittest.mock import Mock
from uuid import UUID, uuid4

import pytest

from bench.harness.scripted_model import Asked as Call
from bench.harness.scripted_model import ScriptedModel, agent_reply, serve_scripted_model
from bench.harness.service import InProcessService, served
from selfheal.db import claims, run_events
from selfheal.db.checkpoints import FencedSaver
from selfheal.db.errors import ClaimLostError, NotFoundError
from selfheal.db.pool import Database
from selfheal.db.runs import RunResult
from selfheal.graph.context import open_parts
from selfheal.server.execution.events import EventWriter
from selfheal.server.execution.recovery import LeaseRecovery
from selfheal.server.settings import read_settings
from tests.support.claimed_runs import (
    ADD,
    ASK,
    Gate,
    accepted,
    claimed,
    forget_jobs,
    jobs,
    lapse,
    record,
    row,
    tables,
    waits_for_a_lock,
)


@pytest.fixture
async def serve(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., Any]]:
    async with AsyncExitStack() as stack:

        async def opened(reply: Any, **env: str) -> tuple[InProcessService, ScriptedModel]:
            server = await stack.enter_async_context(serve_scripted_model(reply))
            monkeypatch.setenv("GOOGLE_API_KEY", "scripted")
            monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
            for name, value in env.items():
                monkeypatch.setenv(name, value)
            settings = read_settings()
            context = await stack.enter_async_context(open_parts(settings, database))
            return await stack.enter_async_context(served(settings, database, context)), server

        yield opened


async def test_one_claim_at_a_time(serve: Any, database: Database) -> None:
    service, _ = await serve(agent_reply(ADD))
    run_id = await accepted(service)
    async with database.connection() as connection:
        first = await claims.claim(connection, run_id, "one", 60)
        assert first is not None
        assert await claims.claim(connection, run_id, "two", 60) is None
    await lapse(database, run_id)
    second = await claimed(database, run_id)
    assert (second.attempt, second.token != first.token) == (2, True)


@pytest.mark.every_database
async def test_every_write_of_one_who_was_taken_over_is_refused(
    serve: Any, database: Database
) -> None:
    service, _ = await serve(agent_reply(ADD))
    run_id = await accepted(service)
    old = await claimed(database, run_id)
    await lapse(database, run_id)
    new = await claimed(database, run_id)
    saver = FencedSaver(database.pool, old)
    graph = service.service.runner._executors["agent"]._graph
    before = await tables(database)
    with pytest.raises(ClaimLostError):
        await graph.copy(update={"checkpointer": saver}).ainvoke(
            dict(ASK),
            {"configurable": {"thread_id": str(old.thread_id)}},
            context={"context": service.context},
        )
    with pytest.raises(ClaimLostError):
        await record(service, old, RunResult("ok"))
    events = EventWriter(database, old, enabled=True)
    events.write("values", {})
    with pytest.raises(ClaimLostError):
        await events.flush()
    with pytest.raises(LookupError):
        async with database.connection() as connection:
            await claims.renew(connection, old, 60)
    assert await tables(database) == before
    await record(service, new, RunResult("ok"))
    assert (await row(service, run_id)).outcome == "ok"


@pytest.mark.every_database
async def test_a_frozen_process_that_comes_back_changes_nothing(
    serve: Any, database: Database
) -> None:
    gate = Gate()
    service, _ = await serve(gate.reply)
    run_id = await accepted(service)
    frozen = asyncio.create_task(service.service.runner.execute(run_id))
    await asyncio.wait_for(gate.asked.wait(), 20)
    await lapse(database, run_id)
    gate.asked.clear()
    taking_over = asyncio.create_task(service.service.runner.execute(run_id))
    await asyncio.wait_for(gate.asked.wait(), 20)
    gate.open.set()
    await asyncio.gather(frozen, taking_over)
    run = await row(service, run_id)
    assert (run.outcome, run.attempt) == ("ok", 2)
    assert gate.calls.count("manager") == 1, "its first node was not repeated"


async def test_a_claim_knows_the_events_that_it_waited_for(serve: Any, database: Database) -> None:
    """The executor before commits its last events while the next claim waits for its lock."""
    service, _ = await serve(agent_reply(ADD))
    run_id = await accepted(service)
    claim = await claimed(database, run_id)
    await lapse(database, run_id)
    async with database.connection() as connection, connection.transaction():
        await claims.hold(connection, claim)
        next_claim = asyncio.create_task(claimed(database, run_id))
        await waits_for_a_lock(database)
        await run_events.append(connection, run_id, claim.last_event, [("updates", "1")])
    assert (await next_claim).last_event == claim.last_event + 1


async def test_a_run_that_ends_as_its_lease_is_renewed_is_reported(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its claim is gone once its end is stored: that is no claim lost to another process."""
    service, _ = await serve(agent_reply(ADD))
    runner, observed = service.service.runner, list[str]()
    run_to_its_end = runner._database.run

    async def slowly(work: Any) -> Any:
        result = await run_to_its_end(work)
        await asyncio.sleep(0.5)
        return result

    monkeypatch.setattr(runner, "_lease", 0.6)
    monkeypatch.setattr(runner, "_observers", [observed.append])
    monkeypatch.setattr(runner, "_database", Mock(wraps=runner._database, run=slowly))
    run_id = await accepted(service)
    await runner.execute(run_id)
    assert ((await row(service, run_id)).outcome, observed) == ("ok", ["ok"])


async def test_killed_before_its_first_checkpoint_it_begins_anew(
    serve: Any, database: Database
) -> None:
    service, server = await serve(agent_reply(ADD))
    run_id = await accepted(service)
    await claimed(database, run_id)
    await lapse(database, run_id)
    await service.service.runner.execute(run_id)
    run = await row(service, run_id)
    assert (run.outcome, run.attempt, len(server.asked)) == ("ok", 2, 3)


@pytest.mark.every_database
async def test_killed_before_its_result_it_is_not_run_again(serve: Any, database: Database) -> None:
    service, server = await serve(agent_reply(ADD))
    run_id = await accepted(service)
    claim = await claimed(database, run_id)
    executor = service.service.runner._executors["agent"]
    await executor.execute(claim, EventWriter(database, claim, enabled=False))
    calls = len(server.asked)
    await lapse(database, run_id)
    await service.service.runner.execute(run_id)
    run = await row(service, run_id)
    assert (run.outcome, run.attempt, len(server.asked)) == ("ok", 2, calls)
    assert run.code == ADD
    assert run.model_calls == 3


async def test_what_an_earlier_run_left_on_the_thread_is_not_this_ones(serve: Any) -> None:
    gone: Any = 404, {"error": {"code": 404, "message": "retired", "status": "NOT_FOUND"}}
    failing: set[str] = set()

    def reply(call: Call) -> Any:
        kind = "manager" if "signature" in call.fields else "judge" if call.fields else "worker"
        return gone if kind in failing else agent_reply(ADD)(call)

    service, _ = await serve(reply)
    thread = uuid4()
    assert (await service.row(ASK, thread)).outcome == "ok"
    failing.add("worker")
    second = await service.row(ASK, thread)
    assert (second.outcome, second.code, second.evaluation) == ("model", None, None)
    assert (second.manager_version, second.worker_version) == (1, 1)
    failing.add("manager")
    third = await service.row(ASK, thread)
    assert (third.plan, third.manager_version, third.worker_version) == (None, 1, None)


async def test_a_thread_that_cannot_be_read_ends_its_run_at_once(
    serve: Any, database: Database
) -> None:
    service, _ = await serve(agent_reply(ADD))
    thread = uuid4()
    assert (await service.row(ASK, thread)).outcome == "ok"
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE checkpoints SET checkpoint = '{}' WHERE thread_id = %s", (str(thread),)
        )
    run = await service.row(ASK, thread)
    assert (run.outcome, run.attempt) == ("infrastructure", 1)


async def test_a_run_that_kills_its_process_each_time_ends_some_day(
    serve: Any, database: Database
) -> None:
    service, server = await serve(agent_reply(ADD))
    run_id = await accepted(service)
    async with database.connection() as connection:
        await connection.execute("UPDATE runs SET attempt = 20 WHERE id = %s", (run_id,))
    await service.service.runner.execute(run_id)
    run = await row(service, run_id)
    assert (run.outcome, run.status) == ("infrastructure", "error")
    assert "given up" in run.message
    assert not server.asked


@pytest.mark.every_database
async def test_runs_with_an_expired_lease_or_a_lost_job_are_enqueued_again(
    serve: Any, database: Database
) -> None:
    service, _ = await serve(agent_reply(ADD))
    recovery = LeaseRecovery(database, service.service.queue, 10)
    run_id = await accepted(service)
    await forget_jobs(database)
    await recovery.recover()
    assert await jobs(database) == 0, "it has not waited for long enough"
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE claims SET dispatched_at = clock_timestamp() - interval '11 seconds',"
            " due_at = clock_timestamp() - interval '11 seconds'"
        )
    await recovery.recover()
    await recovery.recover()
    assert (await jobs(database), recovery.recovered) == (1, 0)
    await claimed(database, run_id)
    await forget_jobs(database)
    await lapse(database, run_id)
    await recovery.recover()
    await recovery.recover()
    assert (await jobs(database), recovery.recovered) == (1, 1)


@pytest.mark.every_database
async def test_what_was_streamed_is_kept_in_order_and_replayed_from_any_point(serve: Any) -> None:
    service, _ = await serve(agent_reply(ADD))
    run_id = await accepted(service)
    await service.service.runner.execute(run_id)
    told = [each async for each in service.service.waiter.events(run_id, 0)]
    assert [each.seq for each in told] == list(range(1, len(told) + 1))
    assert [each.event for each in told] == ["metadata", *["values"] * 3]
    rest = [each async for each in service.service.waiter.events(run_id, 3)]
    assert rest == told[3:]
    async with service.database.connection() as connection:
        assert await run_events.last(connection, run_id) == len(told)


@pytest.mark.parametrize("with_writes", [True, False])
async def test_killed_at_any_checkpoint_it_comes_to_the_same_end(
    serve: Any, database: Database, *, with_writes: bool
) -> None:
    """Cut the thread off behind each of its checkpoints, with what was written there or without."""
    service, server = await serve(agent_reply(ADD))
    for kept in range(1, 6):
        run_id = await accepted(service)
        claim = await claimed(database, run_id)
        executor = service.service.runner._executors["agent"]
        await executor.execute(claim, EventWriter(database, claim, enabled=False))
        await cut_behind(database, claim.thread_id, kept, with_writes=with_writes)
        await lapse(database, run_id)
        calls = len(server.asked)
        await service.service.runner.execute(run_id)
        run = await row(service, run_id)
        assert (run.outcome, run.attempt, run.code) == ("ok", 2, ADD), (kept, run)
        assert (run.output or {}).keys() >= {"code", "evaluation"}
        assert len(server.asked) - calls <= 3
    assert len(server.asked) - calls == 0, "behind the last one nothing is asked again"


async def cut_behind(database: Database, thread: UUID, kept: int, *, with_writes: bool) -> None:
    operator = ">" if with_writes else ">="
    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT checkpoint_id FROM checkpoints WHERE thread_id = %s ORDER BY 1", (str(thread),)
        )
        ids = [each["checkpoint_id"] for each in await cursor.fetchall()]
        assert len(ids) == 5
        last = ids[kept - 1]
        for query in (
            "DELETE FROM checkpoints WHERE thread_id = %s AND checkpoint_id > %s",
            f"DELETE FROM checkpoint_writes WHERE thread_id = %s AND checkpoint_id {operator} %s",
        ):
            await connection.execute(query.encode(), (str(thread), last))


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_a_run_that_was_handed_back_is_cancelled_too(
    serve: Any, database: Database, action: Any
) -> None:
    service, _ = await serve(agent_reply(ADD))
    run_id = await accepted(service)
    claim = await claimed(database, run_id)
    async with database.connection() as connection:
        assert await claims.hand_back(connection, claim)
    await service.service.submitter.cancel(run_id, action)
    await service.service.runner.execute(run_id)
    if action == "interrupt":
        assert (await row(service, run_id)).status == "interrupted"
    else:
        with pytest.raises(NotFoundError):
            await row(service, run_id)
    async with database.connection() as connection:
        assert await claims.live(connection, claim.thread_id) == []
