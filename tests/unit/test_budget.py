"""A caller that is refused calls waits for the settlements of others, and for nothing else."""

import asyncio
from uuid import uuid4

from selfheal.optimizer.budget import Reservations


async def test_without_an_open_reservation_it_does_not_wait() -> None:
    reservations = Reservations()
    reservations.add(uuid4())
    assert not await reservations.wait_for_settlement(uuid4(), reservations.settled)


async def test_it_waits_until_another_has_settled() -> None:
    reservations, healing = Reservations(), uuid4()
    reservations.add(healing)
    waiting = asyncio.create_task(reservations.wait_for_settlement(healing, reservations.settled))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await reservations.settle(healing)
    assert await asyncio.wait_for(waiting, 1)
    assert not await reservations.wait_for_settlement(healing, reservations.settled)


async def test_a_settlement_since_the_request_counts() -> None:
    reservations, healing = Reservations(), uuid4()
    reservations.add(healing)
    before = reservations.settled
    await reservations.settle(healing)
    assert await reservations.wait_for_settlement(healing, before)
