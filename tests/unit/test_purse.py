"""Who is refused waits for what others give back, and for nothing else."""

import asyncio
from uuid import uuid4

from selfheal.optimizer.evaluation.budget import Purse


async def test_with_nothing_under_way_there_is_nothing_to_wait_for() -> None:
    purse = Purse()
    purse.took(uuid4())
    assert not await purse.may_retry(uuid4(), purse.given_back)


async def test_it_waits_until_another_has_settled() -> None:
    purse, healing = Purse(), uuid4()
    purse.took(healing)
    waiting = asyncio.create_task(purse.may_retry(healing, purse.given_back))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await purse.settled(healing)
    assert await asyncio.wait_for(waiting, 1)
    assert not await purse.may_retry(healing, purse.given_back)


async def test_what_was_given_back_meanwhile_counts() -> None:
    purse, healing = Purse(), uuid4()
    purse.took(healing)
    before = purse.given_back
    await purse.settled(healing)
    assert await purse.may_retry(healing, before)
