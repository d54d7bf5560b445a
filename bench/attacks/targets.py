"""What the attacks aim at: files, sockets, a process with secrets. All are expendable."""

import asyncio
import contextlib
import json
import os
import resource
import secrets
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.attacks import syscalls
from selfheal.graph.sandbox.interpreter import FLAGS, executable

ROOT = Path(__file__).parents[2]
SECRET = "CONFORMANCE_SECRET"
VICTIM = Path(__file__).with_name("victim.py")


@dataclass(slots=True)
class Targets:
    """Everything to be attacked, and how it was before."""

    folder: Path
    token: str
    expected: int
    exception: str
    sockets: dict[str, socket.socket]
    victim: asyncio.subprocess.Process
    places: dict[str, object]
    inheritable: int
    whole: dict[str, object] = field(default_factory=dict)

    def names(self) -> dict[str, object]:
        """Return what may stand in the text of a call."""
        files = {name: str(self.folder / name) for name in ("canary", "outside", "stream", "dgram")}
        ports = {name: self.sockets[name].getsockname()[1] for name in ("tcp", "udp")}
        return {
            **(files | ports | self.places | syscalls.NUMBERS),
            "folder": str(self.folder),
            "token": self.token,
            "expected": self.expected,
            "exception": self.exception,
            "secret": SECRET,
            "abstract": f"\0{self.token}",
            "victim": self.victim.pid,
            "parent": os.getpid(),
            "home": str(Path.home()),
            "source": str(ROOT / "graph" / "settings.py"),
        }

    def damage(self) -> list[str]:
        """Return what is no longer as it was: the proof, from outside, that an attack reached it.

        Taken once: what follows is held against how it is now. Only what was changed or has
        arrived can be seen from here, not what was merely read.
        """
        before, self.whole = self.whole, self._state()
        changed = [name for name in before if self.whole.get(name) != before[name]]
        return changed + list(self._arrivals())

    def _state(self) -> dict[str, object]:
        state: dict[str, object] = {"folder": sorted(path.name for path in self.folder.iterdir())}
        for name in ("canary", "outside"):
            state[name] = _traits(self.folder / name)
        pid = self.victim.pid
        state["victim"] = _alive(pid)
        if state["victim"]:
            state["priority"] = os.getpriority(os.PRIO_PROCESS, pid)
            state["processors"] = os.sched_getaffinity(pid)
            state["limit"] = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        return state

    def _arrivals(self) -> Iterator[str]:
        for name, listener in self.sockets.items():
            with contextlib.suppress(BlockingIOError):
                if listener.type == socket.SOCK_STREAM:
                    listener.accept()[0].close()
                else:
                    listener.recv(1)
                yield f"{name} socket"


def _alive(pid: int) -> bool:
    """Tell whether a child of ours runs, neither ended nor stopped."""
    with contextlib.suppress(ChildProcessError):  # asyncio has seen its end
        flags = os.WEXITED | os.WSTOPPED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, pid, flags) is None
    return False


def _traits(path: Path) -> tuple[object, ...] | None:
    with contextlib.suppress(FileNotFoundError):
        status = path.stat()
        traits = (status.st_mode, status.st_uid, status.st_mtime_ns, status.st_nlink)
        return (*traits, path.read_text(), os.listxattr(path))
    return None


@contextlib.asynccontextmanager
async def targets() -> AsyncIterator[Targets]:
    """Set everything up, open to every user of this machine, and take it away again."""
    token = f"canary-{secrets.token_hex(12)}"
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="selfheal-attacked-")))
        _write(folder, token)
        listeners = {name: stack.enter_context(each) for name, each in _listeners(folder, token)}
        os.environ[SECRET] = token
        stack.callback(os.environ.pop, SECRET, None)
        inheritable = os.open(folder / "canary", os.O_RDONLY)
        stack.callback(os.close, inheritable)
        os.set_inheritable(inheritable, True)
        async with _victim(folder / "canary", token) as (victim, places):
            expected = secrets.randbelow(9 * 10**17) + 10**17
            exception = secrets.choice(("ValueError", "KeyError", "TypeError", "RuntimeError"))
            kept = (token, expected, exception)
            made = Targets(folder, *kept, listeners, victim, places, inheritable)
            made.whole = made._state()
            yield made


def _write(folder: Path, token: str) -> None:
    for name, mode, text in (("canary", 0o644, token), ("outside", 0o666, "whole")):
        (folder / name).write_text(text)
        (folder / name).chmod(mode)
    folder.chmod(0o777)


def _listeners(folder: Path, token: str) -> Iterator[tuple[str, socket.socket]]:
    for name, family, kind, address in (
        ("tcp", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
        ("udp", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
        ("stream", socket.AF_UNIX, socket.SOCK_STREAM, str(folder / "stream")),
        ("dgram", socket.AF_UNIX, socket.SOCK_DGRAM, str(folder / "dgram")),
        ("abstract", socket.AF_UNIX, socket.SOCK_DGRAM, f"\0{token}"),
    ):
        listener = socket.socket(family, kind)
        listener.setblocking(False)
        listener.bind(address)
        if family == socket.AF_UNIX and name != "abstract":
            (folder / name).chmod(0o777)
        if kind == socket.SOCK_STREAM:
            listener.listen()
        yield name, listener


@contextlib.asynccontextmanager
async def _victim(
    secret_file: Path, token: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, object]]]:
    pipe = asyncio.subprocess.PIPE
    victim = await asyncio.create_subprocess_exec(
        *(str(executable()), *FLAGS, str(VICTIM), str(secret_file)),
        stdin=pipe,
        stdout=pipe,
        env={"VICTIM_SECRET": token},
        start_new_session=True,
    )
    assert victim.stdout
    try:
        yield victim, json.loads(await victim.stdout.readline())
    finally:
        with contextlib.suppress(ProcessLookupError):
            victim.kill()
        await victim.wait()


if sys.platform != "linux":  # pragma: no cover - the backends tested are Linux's
    raise ImportError("the attacks are written for Linux")
