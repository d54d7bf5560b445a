"""Webhooks as the official client asks for them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from langgraph_sdk import get_client
from langgraph_sdk.errors import UnprocessableEntityError

from bench.harness.processes import selfheal, started
from tests.support.webhook_receiver import SECRET, Receiver, receiving

SAYS = r"serving on (http://\S+)"
ASK = {"request": "Write is_leap_year(year) that tells whether a year is a leap year."}


@pytest.fixture(scope="module")
async def client(module_env: dict[str, str]) -> AsyncIterator[Any]:
    env = {
        **module_env,
        "SELFHEAL_OPTIMIZE_EVERY_SECONDS": "0",
        "SELFHEAL_WEBHOOK_SECRET": SECRET,
        "SELFHEAL_WEBHOOK_ALLOW_PRIVATE": "true",
    }
    async with started(*selfheal("serve", "--port", "0"), env=env, says=SAYS) as (_, url):
        opened = get_client(url=url)
        yield opened
        await opened.http.client.aclose()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


async def test_every_way_of_asking_takes_a_webhook(client: Any, receiver: Receiver) -> None:
    thread = (await client.threads.create())["thread_id"]
    asking = {"input": ASK, "webhook": f"{receiver.url}/hook"}
    created = await client.runs.create(thread, "agent", **asking)
    waited = await client.runs.wait(None, "agent", **asking)
    streamed = [part async for part in client.runs.stream(thread, "agent", **asking)]
    batch = await client.runs.create_batch([{"assistant_id": "agent", **asking}])
    cancelled = await client.runs.create(thread, "agent", after_seconds=600, **asking)
    await client.runs.cancel(thread, cancelled["run_id"])
    got = {each.id: each for each in await receiver.has(5)}
    ids = [created["run_id"], waited["run_id"], streamed[0].data["run_id"], batch[0]["run_id"]]
    assert got.keys() == {*ids, cancelled["run_id"]}
    assert all(each.is_signed() for each in got.values())
    assert [got[each].told["status"] for each in ids] == ["success"] * 4
    told = got[ids[0]].told
    run = await client.runs.get(thread, ids[0])
    assert {key: told[key] for key in run} == run
    assert told["values"]["code"] == (await client.runs.join(thread, ids[0]))["code"]
    assert got[cancelled["run_id"]].told["status"] == "interrupted"


async def test_an_address_that_cannot_be_called_is_refused(client: Any) -> None:
    for url in ("ftp://app.example/", "https://me:secret@app.example/", "nowhere"):
        with pytest.raises(UnprocessableEntityError, match="webhook"):
            await client.runs.create(None, "agent", input=ASK, webhook=url)
