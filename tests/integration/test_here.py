"""A run is executed by the process that accepted it while it has a free slot, within the limit."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from langsmith import uuid7

from selfheal.db import runs
from selfheal.db.claims import Claim
from selfheal.db.errors import NotFoundError
from selfheal.db.pool import Database
from selfheal.db.run_requests import RunOptions, RunRequest
from selfheal.db.runs import RunResult
from selfheal.graph.context import open_parts
from selfheal.server.execution.events import EventWriter
from selfheal.server.service import Service, executing, serving_from
from selfheal.server.settings import read_settings

pytestmark = pytest.mark.every_database

SLOTS = 2


class Slow:
    """Ends runs when it is let, and counts how many it has at once."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.let = asyncio.Event()

    async def execute(self, claim: Claim, events: EventWriter) -> RunResult:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.let.wait()
        finally:
            self.now -= 1
        return RunResult("ok")


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
async def service(
    database: Database, gemini: str, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    monkeypatch.setenv("SELFHEAL_MAX_CONCURRENCY", str(SLOTS))
    settings = read_settings()
    async with (
        open_parts(settings, database) as context,
        serving_from(settings, database, context, executors={"optimizer": slow}) as service,
        executing(service),
    ):
        await asyncio.sleep(0)  # its loops begin
        yield service


def asked(*, temporary: bool = True) -> RunRequest:
    options = RunOptions(temporary=temporary)
    return RunRequest(id=uuid7(), thread_id=uuid7(), assistant="optimizer", options=options)


async def jobs(database: Database) -> int:
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT count(*) AS n FROM procrastinate_jobs")
        row = await cursor.fetchone()
    assert row is not None
    return int(row["n"])


async def status(database: Database, run_id: UUID) -> str:
    async with database.connection() as connection:
        return (await runs.get(connection, run_id)).status


async def test_slots_are_shared_by_submitted_runs_and_jobs(
    service: Service, slow: Slow, database: Database
) -> None:
    taken = [(await service.submitter.submit(asked()))[0].run_id for _ in range(3 * SLOTS)]
    assert [await status(database, each) for each in taken[:SLOTS]] == ["running"] * SLOTS
    assert {await status(database, each) for each in taken[SLOTS:]} == {"pending"}
    slow.let.set()
    for each in taken:
        run = await asyncio.wait_for(service.waiter.ended(each), 20)
        assert run is not None
        assert run.status == "success"
    assert slow.most == SLOTS


async def test_no_job_is_sent_for_a_run_that_is_executed_here(
    service: Service, slow: Slow, database: Database
) -> None:
    await service.submitter.submit(asked())
    assert await jobs(database) == 0
    await service.submitter.submit(asked(), asked())  # one slot is left, so one of them is sent
    assert await jobs(database) == 1
    slow.let.set()


async def test_a_refused_run_gives_its_slot_back(
    service: Service, slow: Slow, database: Database
) -> None:
    for _ in range(SLOTS):
        with pytest.raises(NotFoundError):
            await service.submitter.submit(asked(temporary=False))
    for _ in range(SLOTS):
        await service.submitter.submit(asked())
    assert await jobs(database) == 0
    slow.let.set()


async def test_a_run_that_waited_before_the_start_finds_its_executor(
    database: Database, gemini: str, slow: Slow
) -> None:
    """The executors are given to the runner before it starts, so no job can come too early."""
    settings = read_settings()
    slow.let.set()
    async with (
        open_parts(settings, database) as context,
        serving_from(settings, database, context, executors={"optimizer": slow}) as service,
    ):
        (waiting,) = await service.submitter.submit(asked())
        assert await jobs(database) == 1
        async with executing(service):
            run = await asyncio.wait_for(service.waiter.ended(waiting.run_id), 20)
    assert run is not None
    assert (run.status, run.outcome) == ("success", "ok")
