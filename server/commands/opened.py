"""What most commands begin with: settings, an event loop, a database."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from db.pool import Database
from graph.data import open_data
from graph.settings import read_settings
from server.commands.failures import Refused, explained
from server.masking import mask_stderr, masking

_TERMINATED = 128 + signal.SIGTERM

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")


def run_async(
    command: Callable[Parameters, Coroutine[Any, Any, Value]],
) -> Callable[Parameters, Value]:
    """Let click call a coroutine function, and say in one line what the operator can put right."""

    @wraps(command)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Value:
        mask_stderr()
        try:
            with explained():
                return asyncio.run(_until_told(command(*args, **kwargs)))
        except Refused as refused:
            raise Refused(masking()(refused.message), refused.exit_code) from refused

    return call


async def _until_told(work: Coroutine[Any, Any, Value]) -> Value:
    """Do the work; on SIGTERM cancel it, so that whatever it has opened is closed.

    Raises:
        Refused: it was told to stop.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - we are in a coroutine
    told = False

    def stop() -> None:
        nonlocal told
        told = True
        task.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    try:
        return await work
    except asyncio.CancelledError:
        if told:
            raise Refused("stopped by SIGTERM", _TERMINATED) from None
        raise


@asynccontextmanager
async def opened_database() -> AsyncIterator[Database]:
    """Open the configured database, its schema and first prompts in place."""
    async with open_data(read_settings()) as database:
        yield database
