"""What LangGraph Studio's server loads beside the graph: checkpoints in Postgres."""

import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from selfheal.db.checkpoints import PoolSaver
from selfheal.graph.context import open_context


@asynccontextmanager
async def checkpointer() -> AsyncIterator[PoolSaver]:
    """Open everything that runs in Studio need, and yield the saver of their checkpoints."""
    _end_in_order_with_the_terminal()
    async with open_context() as (_, database):
        yield PoolSaver(database.pool)


def _end_in_order_with_the_terminal() -> None:
    """Let SIGHUP and SIGQUIT do what SIGTERM does.

    Studio's server leaves them to the kernel, which would end it and leave the embedded Postgres.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.getsignal(signal.SIGTERM))
