"""What most commands begin with: settings, an event loop, a database."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click

from selfheal.app.aio import on_termination, watch_terminal
from selfheal.db.errors import NotFoundError
from selfheal.db.pool import Database
from selfheal.graph.database import open_data, open_for_reading, whereabouts
from selfheal.graph.settings import read_settings
from selfheal.server.commands.errors import Refused, explained
from selfheal.server.observability.masking import mask_stderr, masking

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
    """Do the work; on a signal that ends us cancel it, so that whatever it has opened is closed.

    Raises:
        Refused: it was told to stop.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - we are in a coroutine
    received: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        # A closed terminal can be signalled twice, and a second cancellation would cut closing.
        if number != signal.SIGHUP or number not in received:
            task.cancel()
        received.append(number)

    on_termination(stop)
    watch_terminal()
    try:
        return await work
    except asyncio.CancelledError:
        if received:
            raise Refused(f"stopped by {received[0].name}", 128 + received[0]) from None
        raise


@asynccontextmanager
async def opened_database(
    *, reading: bool = False, create: bool = False
) -> AsyncIterator[Database]:
    """Open the configured database. By default it must exist, and its schema is put in place.

    Args:
        reading: change nothing: the schema must be in place already.
        create: make the embedded database where there is none.

    Raises:
        Refused: the body looked for what is not there; it is said in which database.
    """
    settings = read_settings()
    opening = open_for_reading(settings) if reading else open_data(settings, create=create)
    async with opening as database:
        try:
            yield database
        except NotFoundError as error:
            raise Refused(f"{error} in {await whereabouts(settings, database)}") from error


async def say_if_empty(rows: Sequence[object], database: Database) -> None:
    """Say on standard error which database it was in which nothing was found."""
    if not rows:
        click.echo(f"selfheal: none in {await whereabouts(read_settings(), database)}", err=True)
