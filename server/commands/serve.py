"""`selfheal serve`: the service on this machine."""

import asyncio
import contextlib
import ipaddress
import signal
import socket
from collections.abc import Iterator

import click
import uvicorn

from graph.settings import read_settings
from server.app import create_app
from server.commands.failures import Refused
from server.commands.opened import run_async
from server.execution import open_service

_DRAIN_SECONDS = 30


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@run_async
async def serve(host: str, port: int) -> None:
    """Serve the agent over HTTP, everything in one process."""
    _only_loopback(host)
    settings = read_settings()
    with _listening(host, port) as listener:
        async with open_service(settings) as service:
            config = uvicorn.Config(
                create_app(service),
                log_level="warning",
                timeout_graceful_shutdown=_DRAIN_SECONDS,
                lifespan="off",
            )
            address = listener.getsockname()
            click.echo(
                f"selfheal: serving on http://{host}:{address[1]}"
                f" (model {settings.model}, sandbox {service.context.sandbox.name}),"
                " without keys: this machine only"
            )
            await _serve_until_told(_Server(config), listener)


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


async def _serve_until_told(server: _Server, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, finish what is under way, and return."""

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    await server.serve(sockets=[listener])


def _only_loopback(host: str) -> None:
    """Refuse to serve strangers: there are no keys that could tell them apart."""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise Refused(f"--host {host}: without keys only a loopback address such as 127.0.0.1")


def _listening(host: str, port: int) -> socket.socket:
    """Bind before anything else is opened, so that a taken port costs nothing.

    Raises:
        Refused: the port is taken, or the address is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named since asyncio switches Nagle's delay off for named TCP alone.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Refused(f"cannot listen on {host}:{port}: {error.strerror}; try --port") from error
    return listener
