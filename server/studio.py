"""The checkpointer that LangGraph Studio's server loads beside the graphs: Postgres."""

import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from selfheal.db.checkpoints import PoolSaver
from selfheal.graph.context import open_context
from selfheal.server.settings import read_settings


@asynccontextmanager
async def checkpointer() -> AsyncIterator[PoolSaver]:
    """Open what runs in Studio need, and yield the saver of their checkpoints."""
    _handle_terminal_signals()
    async with open_context(read_settings()) as (_, database):
        yield PoolSaver(database.pool)


def _handle_terminal_signals() -> None:
    """Make SIGHUP and SIGQUIT do what SIGTERM does.

    Studio's server has no handler for them, so its end would leave the embedded Postgres running.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.getsignal(signal.SIGTERM))
