"""A process that dies between a run's end and its webhook: another one tells of it."""

import asyncio
import signal
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from bench.harness.processes import Process, selfheal, started
from selfheal.db.pool import Database
from tests.support.webhook_receiver import SECRET, Got, receiving

SAYS = r"serving on (http://\S+)"
COMMAND = selfheal("serve", "--port", "0")
HELD_BACK = (
    """CREATE FUNCTION not_yet() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'not yet'; END $$""",
    "CREATE TRIGGER not_yet BEFORE UPDATE ON outbox EXECUTE FUNCTION not_yet()",
)


@pytest.fixture
def env(service_env: dict[str, str]) -> dict[str, str]:
    return {
        **service_env,
        "SELFHEAL_OPTIMIZE_EVERY_SECONDS": "0",
        "SELFHEAL_WEBHOOK_SECRET": SECRET,
        "SELFHEAL_WEBHOOK_ALLOW_PRIVATE": "true",
        "SELFHEAL_SANDBOX": "static",
    }


async def ran(url: str, webhook: str) -> str:
    """Let a run end; return its id."""
    ask: dict[str, Any] = {"assistant_id": "agent", "input": {"request": "Write add(a, b)."}}
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        answer = await client.post("/runs/wait", json={**ask, "webhook": webhook})
    return str(answer.json()["run_id"])


async def kill(process: Process) -> None:
    process.send_signal(signal.SIGKILL)
    await process.wait()


async def change(database: Database, *statements: str) -> None:
    async with database.connection() as connection:
        for statement in statements:
            await connection.execute(statement.encode())


async def test_a_webhook_pending_at_a_kill_is_delivered(
    env: dict[str, str], database: Database
) -> None:
    await change(database, *HELD_BACK)
    async with receiving() as receiver:
        async with started(*COMMAND, env=env, says=SAYS) as (process, url):
            run_id = await ran(url, receiver.url)
            await kill(process)
        assert receiver.got == []
        await change(database, "DROP TRIGGER not_yet ON outbox")
        async with started(*COMMAND, env=env, says=SAYS):
            (got,) = await receiver.has(1)
    assert (got.id, got.told["status"], got.is_signed()) == (run_id, "success", True)


@pytest.mark.chaos
async def test_a_webhook_in_flight_at_a_kill_is_delivered_again(
    env: dict[str, str], database: Database
) -> None:
    never = asyncio.Event()

    async def reply(_: Got) -> Response:
        if len(receiver.got) == 1:
            await never.wait()
        return Response()

    async with receiving(reply) as receiver:
        async with started(*COMMAND, env=env, says=SAYS) as (process, url):
            run_id = await ran(url, receiver.url)
            await receiver.has(1)
            await kill(process)
        # As if the dead one's lease had been waited for.
        await change(database, "UPDATE outbox SET leased_until = clock_timestamp()")
        async with started(*COMMAND, env=env, says=SAYS):
            first, second = await receiver.has(2)
            await asyncio.sleep(1.5)
            assert len(receiver.got) == 2, "and no more, once it was heard"
        never.set()
    assert first.id == second.id == run_id
    assert first.told["values"] == second.told["values"]
