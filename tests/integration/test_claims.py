"""Runs that are never lost, and have one result: claims, fences, resumption, order, cancelling."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any
from unittest.mock import Mock
from uuid import UUID, uuid4

import pytest
from langsmith import uuid7

from bench.harness.scripted_model import Asked as Call
from bench.harness.scripted_model import ScriptedModel, agent_reply, serve_scripted_model
from bench.harness.service import InProcessService, served
from selfheal.db import claims, run_events, runs, threads
from selfheal.db.checkpoints import FencedSaver
from selfheal.db.claims import Claim
from selfheal.db.errors import ClaimLostError, NotFoundError
from selfheal.db.pool import Database
from selfheal.db.run_requests import RunOptions, RunRequest
from selfheal.db.runs import Run, RunResult
from selfheal.graph.context import open_parts
from selfheal.graph.state import Request
from selfheal.server.execution.events import EventWriter
from selfheal.server.execution.recovery import LeaseRecovery
from selfheal.server.execution.run_end import complete_run
from selfheal.server.execution.submit import (
    IdempotencyError,
    QueueFullError,
    ThreadBusyError,
)
from selfheal.server.settings import read_settings

ADD = 'def add(a: int, b: int) -> int:\n    """Add."""\n    return a + b\n'
ASK = Request(request="add two numbers", examples=[])


class Gate:
    """A model whose worker answers only when it is let."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.open = asyncio.Event()
        self.calls: list[str] = []

    async def reply(self, call: Call) -> Any:
        kind = "manager" if "signature" in call.fields else "judge" if call.fields else "worker"
        self.calls.append(kind)
        if kind == "worker":
            self.asked.set()
            await asyncio.wait_for(self.open.wait(), 30)
        return agent_reply(ADD)(call)


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


async def accepted(service: InProcessService, thread_id: UUID | None = None, **fields: Any) -> UUID:
    """Submit a run; return its id."""
    options = RunOptions(input=dict(ASK), stream_mode=("values",), temporary=thread_id is None)
    request = RunRequest(
        id=uuid7(),
        thread_id=thread_id or uuid7(),
        assistant="agent",
        options=options,
        create_thread=True,
    )
    (run,) = await service.service.submitter.submit(replace(request, **fields))
    return run.run_id


async def record(service: InProcessService, claim: Claim, result: RunResult) -> None:
    """Store the end of a claimed run."""
    queue = service.service.queue
    await service.database.run(
        lambda each: complete_run(each, queue, claim.id, result, claim=claim)
    )


async def row(service: InProcessService, run_id: UUID) -> Run:
    async with service.database.connection() as connection:
        return await runs.get(connection, run_id)


async def claimed(database: Database, run_id: UUID, lease: float = 60) -> Claim:
    async with database.connection() as connection:
        claim = await claims.claim(connection, run_id, "test", lease)
    assert claim is not None
    return claim


async def waits_for_a_lock(database: Database) -> None:
    """Wait until a statement of this database waits for another transaction."""
    query = (
        "SELECT 1 FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(20), database.connection() as connection:
        while await (await connection.execute(query)).fetchone() is None:
            await asyncio.sleep(0.02)


async def lapse(database: Database, run_id: UUID) -> None:
    """Let a lease run out, as if its process had been dead for a while."""
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE claims SET lease_until = clock_timestamp() - interval '1 second',"
            " dispatched_at = clock_timestamp() - interval '1 minute' WHERE run_id = %s",
            (run_id,),
        )


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


async def tables(database: Database) -> dict[str, int]:
    """Count the rows that runs write."""
    found = {}
    names = ("checkpoints", "checkpoint_writes", "checkpoint_blobs", "run_events", "evaluations")
    async with database.connection() as connection:
        for name in names:
            cursor = await connection.execute(f"SELECT count(*) AS n FROM {name}".encode())
            found[name] = ((await cursor.fetchone()) or {})["n"]
    return found


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


async def forget_jobs(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("DELETE FROM procrastinate_jobs")


async def jobs(database: Database) -> int:
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT count(*) AS n FROM procrastinate_jobs")
        return int(((await cursor.fetchone()) or {})["n"])


@pytest.mark.every_database
async def test_runs_of_a_thread_come_one_after_another(serve: Any, database: Database) -> None:
    service, _ = await serve(agent_reply(ADD))
    thread = uuid4()
    first, second = await accepted(service, thread), await accepted(service, thread)
    assert await jobs(database) == 1, "nobody is sent to the second one yet"
    await service.service.runner.execute(second)
    assert (await row(service, second)).status == "pending"
    await service.service.runner.execute(first)
    assert await jobs(database) == 2, "now somebody is"
    await service.service.runner.execute(second)
    assert (await row(service, second)).outcome == "ok"


@pytest.mark.every_database
async def test_what_becomes_of_a_busy_thread(serve: Any, database: Database) -> None:
    service, _ = await serve(agent_reply(ADD))
    thread = uuid4()
    first = await accepted(service, thread)
    with pytest.raises(ThreadBusyError):
        await accepted(service, thread, multitask="reject")
    second = await accepted(service, thread, multitask="interrupt")
    assert (await row(service, first)).status == "interrupted"
    third = await accepted(service, thread, multitask="rollback")
    with pytest.raises(NotFoundError):
        await row(service, second)
    await service.service.runner.execute(third)
    assert (await row(service, third)).outcome == "ok"


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_a_run_under_way_is_cancelled_at_once(
    serve: Any, database: Database, action: Any
) -> None:
    gate = Gate()
    service, _ = await serve(gate.reply)
    thread = uuid4()
    run_id = await accepted(service, thread)
    executing = asyncio.create_task(service.service.runner.execute(run_id))
    await asyncio.wait_for(gate.asked.wait(), 20)
    await service.service.submitter.cancel(run_id, action)
    await asyncio.wait_for(executing, 5)
    assert await service.service.waiter.ended(run_id) is None or action == "interrupt"
    counted = await tables(database)
    if action == "interrupt":
        assert (await row(service, run_id)).status == "interrupted"
        assert counted["checkpoints"] > 0
    else:
        assert (counted["checkpoints"], counted["checkpoint_writes"]) == (0, 0)
    async with database.connection() as connection:
        assert (await threads.get(connection, thread, "local")).status in ("interrupted", "idle")
    gate.open.set()


@pytest.mark.every_database
async def test_the_same_key_is_the_same_run(serve: Any) -> None:
    service, _ = await serve(agent_reply(ADD))
    asked: dict[str, Any] = {"idempotency_key": "k", "body_sha256": "a"}
    first, again = await asyncio.gather(accepted(service, **asked), accepted(service, **asked))
    assert first == again
    assert await accepted(service, tenant="another", **asked) != first
    with pytest.raises(IdempotencyError):
        await accepted(service, idempotency_key="k", body_sha256="b")
    await service.service.runner.execute(first)
    assert await accepted(service, **asked) == first, "after its end too"


async def test_no_more_than_so_many_wait(serve: Any) -> None:
    service, _ = await serve(agent_reply(ADD), SELFHEAL_MAX_WAITING="2")
    first = await accepted(service)
    await accepted(service)
    with pytest.raises(QueueFullError):
        await accepted(service)
    await service.service.runner.execute(first)
    await accepted(service)


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
