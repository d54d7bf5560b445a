"""Serving HTTP on a bound socket, without uvicorn's signal handlers."""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import uvicorn
from fastapi import FastAPI

from selfheal.app.aio import on_termination
from selfheal.server.http.binding import listen
from selfheal.server.http.connections import BACKLOG, LimitedConnection

_DRAIN_SECONDS = 15
_FEW = 64  # connections to what serves this machine, or a scraper


class _Server(uvicorn.Server):
    """A server without signal handlers.

    uvicorn's own would raise the signal again, and end the process before what was opened around
    the server is closed.
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no handlers."""
        yield

    def stop(self) -> None:
        """Accept no more requests, and end when those in flight have been answered."""
        self.should_exit = True


async def serve_until_stopped(
    app: FastAPI, listener: socket.socket, announce: Callable[[], None], connections: int
) -> None:
    """Serve until a termination signal, answer the requests in flight, and return.

    What executes their runs must continue meanwhile. Clients that wait longer are disconnected,
    and can ask the next process.

    Args:
        app: the application.
        listener: the socket that it listens on.
        announce: called when requests are accepted and signals are handled.
        connections: how many may be open at once.
    """
    server = _server(app, connections)
    # Half a second of work, which the first GET /openapi.json would do on the event loop.
    await asyncio.to_thread(app.openapi)
    freeze_garbage_collector()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, server.stop)
    on_termination(lambda _: server.stop())
    announce()
    await server.serve(sockets=[listener])


def freeze_garbage_collector() -> None:
    """Exclude the objects that exist now from garbage collection: libraries and graphs.

    Otherwise a full collection holds the interpreter's lock for 0.2 s, and a request with many
    values triggers one.
    """
    gc.collect()
    gc.freeze()


@contextlib.asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """Serve on a free port of this machine beside the body; yield the URL."""
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
            # h11, even if httptools is installed: it bounds the head of a request.
            http=LimitedConnection.at_most(connections),
            ws="none",  # an upgraded connection would have no limits
            backlog=BACKLOG,
            log_config=None,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
            lifespan="off",
        )
    )
