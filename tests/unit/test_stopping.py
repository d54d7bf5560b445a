"""Tasks end when they are told to, even those that overhear it."""

import asyncio

import pytest

from selfheal.app.aio import stop


async def test_an_ignored_cancellation_is_repeated(caplog: pytest.LogCaptureFixture) -> None:
    heard = 0

    async def deaf() -> None:
        nonlocal heard
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                heard += 1
                if heard == 3:
                    raise

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await stop(task, patience=0.05)
    assert (task.cancelled(), heard) == (True, 3)
    assert caplog.text.count("cancelling again: ") == caplog.text.count("deaf:") == 2


async def test_what_takes_its_time_to_end_is_let() -> None:
    ended = False

    async def careful() -> None:
        nonlocal ended
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.2)
            ended = True

    async def breaking() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise ValueError

    tasks = [asyncio.create_task(careful()), asyncio.create_task(breaking())]
    await asyncio.sleep(0)
    await stop(*tasks)
    assert ended
    await stop()
