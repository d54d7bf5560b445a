"""Serving HTTP on a socket that is bound already; the signals are left to us."""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import uvicorn
from fastapi import FastAPI

from selfheal.app.aio import on_ending_signals
from selfheal.server.api.connections import BACKLOG, LimitedConnection
from selfheal.server.binding import listen

_DRAIN_SECONDS = 15
_FEW = 64  # connections of what serves this machine, or a scraper


class _Server(uvicorn.Server):
    """A server that leaves the signals to us.

    uvicorn's own handlers would raise the signal again and end the process before what was
    opened around the server is closed.
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    def stop(self) -> None:
        """Accept no more, and end when all that is under way has been answered."""
        self.should_exit = True


async def serve_until_told(
    app: FastAPI, listener: socket.socket, announce: Callable[[], None], connections: int
) -> None:
    """Serve until a signal ends us, give the last callers their answers, and return.

    What executes their runs must go on meanwhile. Who waits for longer is cut off, and asks the
    next process.

    Args:
        announce: told when it can be told to stop: whoever hears of it may do so at once.
        connections: how many may be open at once.
    """
    server = _server(app, connections)
    # Half a second of work, which the first GET /openapi.json would do in the event loop.
    await asyncio.to_thread(app.openapi)
    freeze_what_is_loaded()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, server.stop)
    on_ending_signals(lambda _: server.stop())
    announce()
    await server.serve(sockets=[listener])


def freeze_what_is_loaded() -> None:
    """Let the garbage collector pass over what is there now, and stays: libraries and graphs.

    A full collection holds the interpreter's lock for 0.2 s otherwise, and a request with many
    values brings one about.
    """
    gc.collect()
    gc.freeze()


@contextlib.asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """Serve on a free port of this machine beside the body; yield the address."""
    with listen("127.0.0.1", 0) as listener:
        async with beside(app, listener):
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextlib.asynccontextmanager
async def beside(app: FastAPI, listener: socket.socket) -> AsyncIterator[None]:
    """Serve beside the body."""
    server = _server(app, _FEW)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.stop()
        await running


def _server(app: FastAPI, connections: int) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            # h11 alone, whatever else is installed: it bounds the head of a request.
            http=LimitedConnection.at_most(connections),
            ws="none",  # an upgraded connection would be out of the protocol's hands
            backlog=BACKLOG,
            log_config=None,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
            lifespan="off",
        )
    )
