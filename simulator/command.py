"""Runs the server, alone or with a command that is configured to use it."""

import asyncio
import contextlib
import ctypes
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterator

import uvicorn

from selfheal.simulator.app import create_app
from selfheal.simulator.state import State

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class _Server(uvicorn.Server):
    """A server that does not handle signals itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture no signals: they are passed to the command first."""
        yield


def open_socket(host: str, port: int) -> socket.socket:
    """Bind and listen on an address, so that no other process can share it.

    Args:
        host: an IPv4 or IPv6 address, or a name.
        port: 0 for any free one.

    Raises:
        OSError: the address is not available.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Without an explicit protocol asyncio leaves Nagle's algorithm on: 40 ms a call.
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
    line = f"SIMULATED Gemini listening on {url} (scenario {state.scenario}, seed {state.seed})"
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - callers wait for this line
    code = await (_run(command, url) if command else _wait_for_signal())
    server.should_exit = True
    await serving
    return code


def _url(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _wait_for_signal() -> int:
    stopped = asyncio.Event()
    _on_ending_signals(lambda _: stopped.set())
    await stopped.wait()
    return 0


async def _run(command: list[str], url: str) -> int:
    env = os.environ | {"GOOGLE_GEMINI_BASE_URL": url, "GOOGLE_API_KEY": "simulated"}
    # A process group of its own: a terminal's Ctrl-C reaches this process only, which forwards it.
    child = await asyncio.create_subprocess_exec(
        *command, env=env, process_group=0, preexec_fn=_parent_death_link()
    )
    _on_ending_signals(lambda number: _pass_on(child.pid, number))
    code = await child.wait()
    return code if code >= 0 else 128 - code


def _on_ending_signals(handle: Callable[[signal.Signals], None]) -> None:
    """Handle SIGHUP of a closed terminal, SIGINT, SIGTERM and SIGQUIT from now on."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        # Under nohup a closed terminal must not end the process.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, handle, number)
    _watch_terminal()


def _watch_terminal() -> None:
    """Raise SIGHUP in this process when the terminal closes and the kernel signals `make` only.

    A closed terminal is signalled to the leader of its session. A shell forwards the signal; `make`
    as the leader, as in `ssh -t host make serve`, waits for its child instead. So a process in the
    leader's own group watches the terminal itself. Linux only: it needs epoll.
    """
    leader = os.getsid(0)
    if leader == os.getpid() or leader != os.getpgrp() or not hasattr(select, "epoll"):
        return
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:  # there is no terminal
        return
    loop, watch = asyncio.get_running_loop(), select.epoll()
    watch.register(terminal, 0)  # no event but the hang-up

    def hung_up() -> None:
        loop.remove_reader(watch.fileno())
        watch.close()
        os.close(terminal)
        signal.raise_signal(signal.SIGHUP)

    loop.add_reader(watch.fileno(), hung_up)


def _parent_death_link() -> Callable[[], None] | None:
    """Return what the child calls before exec, so that it gets SIGTERM if this process is killed.

    Without it a SIGKILL of this process would leave the command running without a model. It is
    safe between fork and exec, since this process has a single thread. Only Linux supports it:
    elsewhere a command outlives a SIGKILL of the simulator, but no other signal.
    """
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None, use_errno=True).prctl, os.getpid()

    def link() -> None:
        if prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
        if os.getppid() != parent:  # the parent was killed before prctl
            os._exit(128 + signal.SIGTERM)

    return link


def _pass_on(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
