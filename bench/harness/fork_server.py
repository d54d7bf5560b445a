"""Modules run as programs, in forks of a process that has imported our libraries already.

They take four seconds of CPU to import, and the tests start our program some hundred times. A fork
of a process that has only imported them is from there on what the program itself would be: it has
its own session, environment, output and end.
"""

import atexit
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

_NAME = Path("/proc/self/comm")
_BIGGEST = 1 << 18
_IMPORTED = (
    "selfheal.server.commands.serve",
    "selfheal.server.commands.optimize",
    "langchain_google_genai",
)


@dataclass(frozen=True)
class ForkServer:
    """The process that forks. It ends when this one does."""

    channel: socket.socket
    process: subprocess.Popen[bytes]

    def start(
        self, module: str, arguments: tuple[str, ...], env: Mapping[str, str], files: list[int]
    ) -> int:
        """Do as `python -m` does, with these standard files; return the process's id."""
        order = {
            "module": module,
            "arguments": arguments,
            "env": dict(env),
            "cwd": str(Path.cwd()),
        }
        socket.send_fds(self.channel, [json.dumps(order).encode()], files)
        return int(self.channel.recv(_BIGGEST))

    def status(self, pid: int) -> int:
        """Return the exit status of a process that has ended."""
        self.channel.send(json.dumps({"status": pid}).encode())
        return int(self.channel.recv(_BIGGEST))

    def end(self) -> None:
        """End it, and wait for that: Python warns of a process that is left behind."""
        self.channel.close()
        self.process.wait(timeout=10)


@cache
def fork_server() -> ForkServer:
    """Start this test process's one."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "bench.harness.fork_server", str(its.fileno())]
    process = subprocess.Popen(command, pass_fds=[its.fileno()], start_new_session=True)
    its.close()
    server = ForkServer(ours, process)
    atexit.register(server.end)
    return server


def serve(channel: socket.socket) -> str:
    """Fork for each order that comes; return in each fork, with the module that it is to run."""
    while True:
        message, files, _, _ = socket.recv_fds(channel, _BIGGEST, 3)
        if not message:
            os._exit(0)
        order = json.loads(message)
        if "status" in order:
            answer = os.waitstatus_to_exitcode(os.waitpid(order["status"], 0)[1])
        elif answer := os.fork():
            for each in files:
                os.close(each)
        else:
            channel.close()
            become(order, files)
            return str(order["module"])
        channel.send(str(answer).encode())


def become(order: Mapping[str, Any], files: list[int]) -> None:
    """Be the process that was ordered."""
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
    _NAME.write_text("python")
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.argv[1:] = order["arguments"]


def main() -> None:
    """Import the libraries, then fork for each order that arrives on the given socket."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    for each in _IMPORTED:
        import_module(each)
    gc.freeze()
    _NAME.write_text("fork_server")  # so that tests that count Pythons leave it out
    runpy.run_module(serve(channel), run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
