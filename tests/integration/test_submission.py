"""Runs are accepted: their order on a thread, cancelling, idempotency keys, the queue's limit."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest

from bench.harness.scripted_model import ScriptedModel, agent_reply, serve_scripted_model
from bench.harness.service import InProcessService, served
from selfheal.db import threads
from selfheal.db.errors import NotFoundError
from selfheal.db.pool import Database
from selfheal.graph.context import open_parts
from selfheal.server.execution.submit import (
    IdempotencyError,
    QueueFullError,
    ThreadBusyError,
)
from selfheal.server.settings import read_settings
from tests.support.claimed_runs import (
    ADD,
    Gate,
    accepted,
    jobs,
    row,
    tables,
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
