"""Running the server, and a command beside it that is led to it."""

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
    _on_ending_signals(lambda _: stopped.set())
    await stopped.wait()
    return 0


async def _run(command: list[str], url: str) -> int:
    env = os.environ | {"GOOGLE_GEMINI_BASE_URL": url, "GOOGLE_API_KEY": "simulated"}
    # A group of its own: a terminal's Ctrl-C reaches us alone, and is passed on once.
    child = await asyncio.create_subprocess_exec(
        *command, env=env, process_group=0, preexec_fn=_parent_death_link()
    )
    _on_ending_signals(lambda number: _pass_on(child.pid, number))
    code = await child.wait()
    return code if code >= 0 else 128 - code


def _on_ending_signals(handle: Callable[[signal.Signals], None]) -> None:
    """Handle a closed terminal, Ctrl-C, a supervisor's SIGTERM, and SIGQUIT from now on."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        # Under nohup a closed terminal must end nothing.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, handle, number)
    _watch_terminal()


def _watch_terminal() -> None:
    """Send ourselves SIGHUP when the terminal closes and the kernel sends it to `make` alone.

    A closed terminal is signalled to the leader of its session. A shell passes that on; `make` as
    the leader, of `ssh -t host make serve` for one, waits for us instead. So a process in the
    leader's own group looks at the terminal itself. Linux only: it takes epoll.
    """
    leader = os.getsid(0)
    if leader == os.getpid() or leader != os.getpgrp() or not hasattr(select, "epoll"):
        return
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:  # there is no terminal
        return
    loop, watch = asyncio.get_running_loop(), select.epoll()
    watch.register(terminal, 0)  # no event but that it hangs up

    def hung_up() -> None:
        loop.remove_reader(watch.fileno())
        watch.close()
        os.close(terminal)
        signal.raise_signal(signal.SIGHUP)

    loop.add_reader(watch.fileno(), hung_up)


def _parent_death_link() -> Callable[[], None] | None:
    """Return what the child runs before its program, so that it gets SIGTERM when we are killed.

    Without it a SIGKILL of this process would leave the command running without a model. It is
    safe between fork and exec, since this process has a single thread. Only Linux has such a
    link: elsewhere a command outlives a SIGKILL of the simulator, and no other signal.
    """
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None, use_errno=True).prctl, os.getpid()

    def link() -> None:
        if prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
        if os.getppid() != parent:  # it was killed before the link was made
            os._exit(128 + signal.SIGTERM)

    return link


def _pass_on(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
