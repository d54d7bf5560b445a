"""Running the server, and a command beside it that is led to it."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator

import uvicorn

from simulator.app import create_app
from simulator.state import State

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Server(uvicorn.Server):
    """A server that leaves the signals to us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: the command gets them first."""
        yield


def open_socket(host: str, port: int) -> socket.socket:
    """Take the address (port 0: any free one); a bound one could be shared. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Without the protocol named, asyncio leaves Nagle's algorithm on: 40 ms a call.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, port))
    bound.listen()
    return bound


async def serve(state: State, bound: socket.socket, command: list[str]) -> int:
    """Serve until a signal, or until the command ends; return the exit code."""
    server = _Server(uvicorn.Config(create_app(state), log_level="critical", access_log=False))
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    while not (server.started or serving.done()):  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    url = _url(bound)
    told = f"SIMULATED Gemini listening on {url} (scenario {state.scenario}, seed {state.seed})"
    print(told, file=sys.stderr, flush=True)  # noqa: T201 - the line that callers wait for
    code = await (_run(command, url) if command else _wait_for_signal())
    server.should_exit = True
    await serving
    return code


def _url(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _wait_for_signal() -> int:
    stopped = asyncio.Event()
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    return 0


async def _run(command: list[str], url: str) -> int:
    env = os.environ | {"GOOGLE_GEMINI_BASE_URL": url, "GOOGLE_API_KEY": "simulated"}
    # A group of its own: a terminal's Ctrl-C reaches us alone, and is passed on once.
    child = await asyncio.create_subprocess_exec(*command, env=env, process_group=0)
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, _pass_on, child.pid, number)
    code = await child.wait()
    return code if code >= 0 else 128 - code


def _pass_on(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
