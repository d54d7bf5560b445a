"""A run is executed where it was taken in while there is a free slot, and bounded all the same."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from langsmith import uuid7

from selfheal.db import runs
from selfheal.db.claims import Claim, Order
from selfheal.db.errors import NotFoundError
from selfheal.db.pool import Database
from selfheal.db.runs import Finish
from selfheal.graph.context import open_parts
from selfheal.server.execution.agent_executor import Ended
from selfheal.server.execution.event_writer import Tape
from selfheal.server.execution.submit import Asked
from selfheal.server.service import Service, executing, serving_from
from selfheal.server.settings import read_settings

pytestmark = pytest.mark.every_database

SLOTS = 2


class Slow:
    """Performs runs when it is let, and counts how many it has at once."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.let = asyncio.Event()

    async def perform(self, claim: Claim, tape: Tape) -> Ended:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.let.wait()
        finally:
            self.now -= 1
        return Ended(Finish("ok"))


@pytest.fixture
async def service(
    database: Database, gemini: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    monkeypatch.setenv("SELFHEAL_MAX_CONCURRENCY", str(SLOTS))
    settings = read_settings()
    async with (
        open_parts(settings, database) as context,
        serving_from(settings, database, context) as service,
        executing(service),
    ):
        await asyncio.sleep(0)  # its loops begin
        yield service


def asked(**more: Any) -> Asked:
    order = Order(id=uuid7(), thread_id=uuid7(), assistant="optimizer", kwargs={}, request="")
    return Asked(order, **{"on_thread": False, **more})


async def jobs(database: Database) -> int:
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT count(*) AS n FROM procrastinate_jobs")
        row = await cursor.fetchone()
    assert row is not None
    return int(row["n"])


async def status(database: Database, run_id: UUID) -> str:
    async with database.connection() as connection:
        return (await runs.get(connection, run_id)).status


async def test_slots_are_shared_by_what_is_taken_in_and_what_is_sent(
    service: Service, database: Database
) -> None:
    slow = Slow()
    service.runner.also_performs("optimizer", slow)
    taken = [(await service.intake.accept(asked()))[0].run_id for _ in range(3 * SLOTS)]
    assert [await status(database, each) for each in taken[:SLOTS]] == ["running"] * SLOTS
    assert {await status(database, each) for each in taken[SLOTS:]} == {"pending"}
    slow.let.set()
    for each in taken:
        run = await asyncio.wait_for(service.follower.end_of(each), 20)
        assert run is not None
        assert run.status == "success"
    assert slow.most == SLOTS


async def test_a_run_that_is_executed_locally_is_not_queued(
    service: Service, database: Database
) -> None:
    slow = Slow()
    service.runner.also_performs("optimizer", slow)
    await service.intake.accept(asked())
    assert await jobs(database) == 0
    await service.intake.accept(asked(), asked())  # one slot is left, so one of them is sent
    assert await jobs(database) == 1
    slow.let.set()


async def test_a_refused_run_gives_its_slot_back(service: Service, database: Database) -> None:
    slow = Slow()
    service.runner.also_performs("optimizer", slow)
    for _ in range(SLOTS):
        with pytest.raises(NotFoundError):
            await service.intake.accept(asked(on_thread=True))
    for _ in range(SLOTS):
        await service.intake.accept(asked())
    assert await jobs(database) == 0
    slow.let.set()
