"""Runs that come by a schedule: each date brings one, whoever looks and however often."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from langsmith import uuid7

from selfheal.db import api_keys, crons, threads
from selfheal.db.crons import Cron, CronFilter
from selfheal.db.errors import NotFoundError
from selfheal.db.pool import Database
from selfheal.graph.context import open_parts
from selfheal.server.api.routes.crons import planned
from selfheal.server.api.schemas.crons import CronCreate
from selfheal.server.auth.admission import LOCAL, Caller
from selfheal.server.execution.cron_runs import CronRunner
from selfheal.server.service import Service, serving_from
from selfheal.server.settings import read_settings

ASK = {"request": "Write add(a, b) that returns the sum of two integers."}


@pytest.fixture
async def service(
    database: Database, gemini: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """Take runs in, at most five; nobody executes them."""
    monkeypatch.setenv("SELFHEAL_MAX_WAITING", "5")
    settings = read_settings()
    async with (
        open_parts(settings, database) as context,
        serving_from(settings, database, context) as opened,
    ):
        yield opened


async def plan(
    service: Service,
    *,
    late: timedelta = timedelta(minutes=1),
    caller: Caller = LOCAL,
    thread_id: UUID | None = None,
    **more: Any,
) -> Cron:
    """Keep a cron whose time came so long ago."""
    body = CronCreate(**{"assistant_id": "agent", "schedule": "* * * * *", "input": ASK, **more})
    made = planned(body, caller, uuid7(), thread_id, datetime.now(UTC) - late)
    async with service.database.transaction() as connection:
        return await crons.put(connection, made)


async def runs_of(service: Service, cron: Cron) -> list[dict[str, Any]]:
    async with service.database.connection() as connection:
        cursor = await connection.execute(
            "SELECT id, status, thread_id, tenant, kwargs, metadata FROM runs"
            " WHERE metadata ->> 'cron_id' = %s",
            (str(cron.id),),
        )
        return list(await cursor.fetchall())


async def kept(service: Service, cron: Cron) -> Cron:
    async with service.database.transaction() as connection:
        return await crons.get(connection, cron.id, cron.tenant)


def cron_runner(service: Service) -> CronRunner:
    return CronRunner(service.database, service.submitter)


@pytest.mark.every_database
async def test_several_that_look_at_once_take_one_run_in(service: Service) -> None:
    cron = await plan(service, metadata={"team": "x"})
    await asyncio.gather(*(cron_runner(service).submit_due() for _ in range(5)))
    (run,) = await runs_of(service, cron)
    assert (run["status"], run["tenant"]) == ("pending", "local")
    assert run["metadata"] == {"team": "x", "cron_id": str(cron.id)}
    assert run["kwargs"]["input"] == ASK
    coming = (await kept(service, cron)).next_run_at
    assert coming is not None
    assert coming > datetime.now(UTC)


async def test_who_dies_between_run_and_next_date_is_followed_without_a_second_run(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    cron = await plan(service)
    with monkeypatch.context() as broken:
        broken.setattr(CronRunner, "_advance", lambda *_: asyncio.sleep(3600))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(cron_runner(service).submit_due(), 1)
    assert (await kept(service, cron)).next_run_at == cron.next_run_at
    await cron_runner(service).submit_due()
    assert len(await runs_of(service, cron)) == 1
    assert (await kept(service, cron)).next_run_at != cron.next_run_at


async def test_missed_dates_are_coalesced_into_one_run(service: Service) -> None:
    cron = await plan(service, late=timedelta(days=2))
    for _ in range(3):
        await cron_runner(service).submit_due()
    assert len(await runs_of(service, cron)) == 1


@pytest.mark.every_database
async def test_each_date_brings_its_own(service: Service) -> None:
    cron = await plan(service)
    for date in range(1, 4):
        await cron_runner(service).submit_due()
        assert len(await runs_of(service, cron)) == date
        async with service.database.connection() as connection:
            earlier = "UPDATE crons SET next_run_at = clock_timestamp() - interval '1 h' * %s"
            await connection.execute(earlier, (date,))


async def test_what_is_off_or_over_does_not_come(service: Service) -> None:
    now = datetime.now(UTC)
    off = await plan(service, enabled=False)
    over = await plan(service, end_time=now - timedelta(hours=1))
    last = await plan(service, end_time=now)
    assert over.next_run_at is None
    await cron_runner(service).submit_due()
    assert (await runs_of(service, off), await runs_of(service, over)) == ([], [])
    assert len(await runs_of(service, last)) == 1
    assert (await kept(service, last)).next_run_at is None


@pytest.mark.every_database
async def test_it_comes_on_the_word_of_a_key_that_holds(service: Service) -> None:
    scopes: tuple[api_keys.Scope, ...] = ("runs:write",)
    async with service.database.connection() as connection:
        made = [await api_keys.create(connection, tenant="t", scopes=scopes) for _ in "abc"]
    good, revoked, expired = [
        await plan(service, caller=Caller(key.tenant, frozenset(key.scopes), key.id))
        for key, _ in made
    ]
    async with service.database.connection() as connection:
        await api_keys.revoke(connection, str(revoked.key_id))
        over = "UPDATE keys SET expires_at = clock_timestamp() WHERE id = %s"
        await connection.execute(over, (expired.key_id,))
    await cron_runner(service).submit_due()
    counts = [len(await runs_of(service, each)) for each in (good, revoked, expired)]
    assert counts == [1, 0, 0]


async def test_on_a_thread_and_what_becomes_of_the_state(service: Service) -> None:
    thread_id = uuid7()
    async with service.database.connection() as connection:
        await threads.create(connection, thread_id, "local", {})
    on_thread = await plan(service, thread_id=thread_id)
    kept_state = await plan(service, on_run_completed="keep")
    temporary = await plan(service)
    await cron_runner(service).submit_due()
    (run,) = await runs_of(service, on_thread)
    assert (run["thread_id"], on_thread.on_run_completed) == (thread_id, None)
    found = [(await runs_of(service, each))[0]["kwargs"] for each in (kept_state, temporary)]
    assert [each.get("temporary") for each in found] == [None, True]
    async with service.database.transaction() as connection:
        await threads.delete(connection, thread_id, "local")
    with pytest.raises(NotFoundError):
        await kept(service, on_thread)


async def test_a_run_that_cannot_be_is_left_out_and_the_others_come(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    thread_id = uuid7()
    async with service.database.connection() as connection:
        await threads.create(connection, thread_id, "local", {})
    first = await plan(service, thread_id=thread_id)
    busy = await plan(service, thread_id=thread_id, multitask_strategy="reject")
    broken = await plan(service)
    good = await plan(service)
    async with service.database.connection() as connection:
        spoil = "UPDATE crons SET payload = '[]' WHERE id = %s"
        await connection.execute(spoil, (broken.id,))
    await cron_runner(service).submit_due()
    counts = [len(await runs_of(service, each)) for each in (first, busy, broken, good)]
    assert counts == [1, 0, 0, 1]
    for each in (busy, broken):
        assert f"cron {each.id}: no run was submitted" in caplog.text
        assert (await kept(service, each)).next_run_at != each.next_run_at


async def test_when_the_queue_is_full_it_waits_and_comes(service: Service) -> None:
    made = [await plan(service) for _ in range(8)]
    await cron_runner(service).submit_due()

    async def taken_in() -> list[int]:
        return [len(await runs_of(service, each)) for each in made]

    assert sum(await taken_in()) == 5
    async with service.database.connection() as connection:
        await connection.execute("DELETE FROM claims")
    await cron_runner(service).submit_due()
    assert await taken_in() == [1] * 8


@pytest.mark.every_database
async def test_crons_are_found_by_what_they_are(service: Service) -> None:
    hourly = await plan(service, schedule="0 * * * *", metadata={"kind": "hourly"})
    daily = await plan(service, schedule="@daily", enabled=False, metadata={"kind": "daily"})
    other = await plan(service, caller=Caller("other", LOCAL.scopes))

    async def found(order: dict[str, Any] | None = None, **more: Any) -> list[UUID]:
        wanted = CronFilter(**{"tenant": "local", "metadata": {}, **more})
        async with service.database.transaction() as connection:
            listed = (await crons.search(connection, wanted, **(order or {}))).rows
            assert await crons.count(connection, wanted) == len(listed)
        return [each.id for each in listed]

    assert await found() == [daily.id, hourly.id]
    assert await found({"ascending": True}) == [hourly.id, daily.id]
    assert await found({"ascending": True, "sort_by": "next_run_date"}) == [hourly.id, daily.id]
    assert await found(enabled=True) == [hourly.id]
    assert await found(metadata={"kind": "daily"}) == [daily.id]
    assert await found(assistant="optimizer") == []
    assert await found(tenant="other") == [other.id]
