"""What most commands begin with: settings, an event loop, a database."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from db.pool import Database
from graph.context import open_data
from graph.settings import read_settings

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")


def run_async(
    command: Callable[Parameters, Coroutine[Any, Any, Value]],
) -> Callable[Parameters, Value]:
    """Let click call a coroutine function."""

    @wraps(command)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Value:
        return asyncio.run(command(*args, **kwargs))

    return call


@asynccontextmanager
async def opened_database() -> AsyncIterator[Database]:
    """Open the configured database, its schema and first prompts in place."""
    async with open_data(read_settings()) as database:
        yield database
