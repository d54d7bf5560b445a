"""Runs of a service with a scripted model, and claims of them by other processes."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

from langsmith import uuid7

from bench.harness.scripted_model import Asked as Call
from bench.harness.scripted_model import agent_reply
from bench.harness.service import InProcessService
from selfheal.db import claims, runs
from selfheal.db.claims import Claim
from selfheal.db.pool import Database
from selfheal.db.run_requests import RunOptions, RunRequest
from selfheal.db.runs import Run, RunResult
from selfheal.graph.state import Request
from selfheal.server.execution.run_end import complete_run

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


async def tables(database: Database) -> dict[str, int]:
    """Count the rows that runs write."""
    found = {}
    names = ("checkpoints", "checkpoint_writes", "checkpoint_blobs", "run_events", "evaluations")
    async with database.connection() as connection:
        for name in names:
            cursor = await connection.execute(f"SELECT count(*) AS n FROM {name}".encode())
            found[name] = ((await cursor.fetchone()) or {})["n"]
    return found


async def forget_jobs(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("DELETE FROM procrastinate_jobs")


async def jobs(database: Database) -> int:
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT count(*) AS n FROM procrastinate_jobs")
        return int(((await cursor.fetchone()) or {})["n"])
