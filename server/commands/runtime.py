"""What most commands need: settings, an event loop, a database."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click

from selfheal.app.aio import on_termination, watch_terminal
from selfheal.db.bootstrap import location, open_for_reading, open_migrated
from selfheal.db.errors import NotFoundError
from selfheal.db.pool import Database
from selfheal.graph.prompts import first_prompts
from selfheal.server.commands.errors import CommandError, as_command_errors
from selfheal.server.observability.masking import mask_stderr, masking
from selfheal.server.settings import read_settings

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")


def run_async(
    command: Callable[Parameters, Coroutine[Any, Any, Value]],
) -> Callable[Parameters, Value]:
    """Let click call a coroutine function.

    Errors that an operator can fix become one line, with secrets masked.
    """

    @wraps(command)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Value:
        mask_stderr()
        try:
            with as_command_errors():
                return asyncio.run(_until_signalled(command(*args, **kwargs)))
        except CommandError as error:
            raise CommandError(masking()(error.message), error.exit_code) from error

    return call


async def _until_signalled(work: Coroutine[Any, Any, Value]) -> Value:
    """Await the work; cancel it on a terminating signal, so that its contexts are closed.

    Raises:
        CommandError: a signal ended it; the exit code is 128 plus the signal's number.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - we are in a coroutine
    received: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        # A closed terminal can send SIGHUP twice; a second cancellation would interrupt closing.
        if number != signal.SIGHUP or number not in received:
            task.cancel()
        received.append(number)

    on_termination(stop)
    watch_terminal()
    try:
        return await work
    except asyncio.CancelledError:
        if received:
            raise CommandError(f"stopped by {received[0].name}", 128 + received[0]) from None
        raise


@asynccontextmanager
async def opened_database(
    *, reading: bool = False, create: bool = False
) -> AsyncIterator[Database]:
    """Open the configured database. By default it must exist, and its schema is migrated.

    Args:
        reading: change nothing: the schema must be up to date already.
        create: create the embedded database if there is none.

    Raises:
        CommandError: the body did not find a row; the message names the database.
    """
    settings = read_settings()
    opening = (
        open_for_reading(settings)
        if reading
        else open_migrated(settings, first_prompts(), create=create)
    )
    async with opening as database:
        try:
            yield database
        except NotFoundError as error:
            raise CommandError(f"{error} in {await location(settings, database)}") from error


async def say_if_empty(rows: Sequence[object], database: Database) -> None:
    """Name the database on standard error if a list from it is empty."""
    if not rows:
        click.echo(f"selfheal: none in {await location(read_settings(), database)}", err=True)
