"""Listening: a socket bound early, and a server that leaves the signals to us."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from fastapi import FastAPI

_DRAIN_SECONDS = 30


class CannotListenError(Exception):
    """The port is taken, or the address is none of this machine's."""


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


def listen(host: str, port: int) -> socket.socket:
    """Bind an address, before anything else is opened: a taken port then costs nothing.

    Raises:
        CannotListenError: the port is taken, or the address is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named since asyncio switches Nagle's delay off for named TCP alone.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CannotListenError(
            f"cannot listen on {host}:{port}: {error.strerror}; try --port"
        ) from error
    return listener


async def serve_until_told(app: FastAPI, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, finish what is under way, and return."""
    server = _server(app)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    await server.serve(sockets=[listener])


@contextlib.asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """Serve on a free port of this machine beside the body; yield the address."""
    with listen("127.0.0.1", 0) as listener:
        server = _server(app)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.stop()
            await running


def _server(app: FastAPI) -> _Server:
    return _Server(
        uvicorn.Config(
            app, log_level="warning", timeout_graceful_shutdown=_DRAIN_SECONDS, lifespan="off"
        )
    )
