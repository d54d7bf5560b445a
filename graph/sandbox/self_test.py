"""The self-test of a sandbox on this machine: a good program runs, attacks fail.

Each attack is run without a sandbox first and must succeed there: one that fails anyway, because a
port is closed or a path is wrong, would prove nothing. The attacks are the constant text below; no
other program ever runs without a sandbox.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from selfheal.graph.sandbox.interpreter import CHILD, ENVIRONMENT, FLAGS, executable
from selfheal.graph.sandbox.outcome import execution_of
from selfheal.graph.sandbox.process import Launch, supervise
from selfheal.graph.sandbox.protocol import (
    DEFAULT_LIMITS,
    Execution,
    Program,
    Sandbox,
    SandboxUnavailable,
)

SECRET = "SANDBOX_SELF_TEST_SECRET"  # noqa: S105 - the name of a variable, set for the control only
GOOD = Program(
    "def double(n):\n    return [n, n + n]\n",
    ("double(21)", "double(None)"),
)
PACKAGES = Program(
    "import os, sys\n"
    "def make():\n"
    "    path = os.path.join(sys.path[-1], '.selfheal-self-test')\n"
    "    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))\n"
    "    os.remove(path)\n",
    ("bool(os.listdir(sys.path[-1]))", "make()"),
)
ATTACKS = f"""
import os, socket

def read_file(path):
    with open(path) as file:
        return file.read() == "canary"

def read_environment():
    return bool(os.environ[{SECRET!r}])

def connect(port):
    socket.create_connection(("127.0.0.1", port), 2).close()
    return True

def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return True

def write_file(path):
    with open(path, "a") as file:
        return file.write("x") == 1

def empty_file(path):
    os.close(os.open(path, os.O_RDONLY | os.O_TRUNC))
    return True
"""


async def examine(sandbox: Sandbox) -> None:
    """Test a sandbox.

    Raises:
        SandboxUnavailable: an attack succeeded, it does not work, or it cannot be tested.
    """
    _check_good(await sandbox.run(GOOD))
    async with _targets() as calls:
        program = Program(ATTACKS, calls)
        for result in (await _run_unconfined(program)).results:
            if result.value is not True:
                raise SandboxUnavailable(
                    f"the self-test itself fails: {result.call} does not work without a sandbox, "
                    f"{result.message or 'for no given reason'}"
                )
        attacked = await sandbox.run(program)
    _check_attacked(sandbox.name, attacked, calls)


async def examine_packages(sandbox: Sandbox) -> None:
    """Test that programs can read the packages of a sandbox, and cannot write to them.

    Raises:
        SandboxUnavailable: they cannot be read, or they can be written to.
    """
    execution = await sandbox.run(PACKAGES)
    reads, *writes = execution.results or (None,)
    if reads is None or reads.value is not True:
        raise SandboxUnavailable(f"{sandbox.name} cannot read SELFHEAL_SANDBOX_PACKAGES")
    if not writes or any(each.raised is None for each in writes):
        raise SandboxUnavailable(f"{sandbox.name} is not isolated: it can write to the packages")


def _check_good(execution: Execution) -> None:
    results = execution.results
    if execution.status != "ok" or results[0].value != [21, 42] or not results[1].raised:
        raise SandboxUnavailable(
            f"{execution.backend} runs a correct program wrongly: "
            f"{execution.status} {execution.detail} {results}"
        )


def _check_attacked(name: str, execution: Execution, calls: tuple[str, ...]) -> None:
    if execution.status != "ok" or len(execution.results) != len(calls):
        raise SandboxUnavailable(f"{name} fails its self-test: {execution.detail}")
    for result in execution.results:
        if result.raised is None:
            raise SandboxUnavailable(f"{name} is not isolated: {result.call} succeeded inside it")


@contextlib.asynccontextmanager
async def _targets() -> AsyncIterator[tuple[str, ...]]:
    """Create the targets of the attacks, accessible to every user; yield the attacks as calls."""
    with tempfile.TemporaryDirectory(prefix="selfheal-self-test-") as name:
        folder = Path(name)
        canary, outside = folder / "canary", folder / "outside"
        canary.write_text("canary")
        outside.write_text("")
        for path, mode in ((folder, 0o777), (canary, 0o644), (outside, 0o666)):
            path.chmod(mode)
        async with await asyncio.start_server(_hang_up, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            yield (
                f"read_file({str(canary)!r})",
                "read_environment()",
                f"connect({port})",
                "fork()",
                f"write_file({str(outside)!r})",
                f"empty_file({str(outside)!r})",
            )


async def _hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def _run_unconfined(attacks: Program) -> Execution:
    limits = DEFAULT_LIMITS
    sizes = (limits.cpu_seconds, limits.memory_bytes, limits.disk_bytes)

    def launch(result_fd: int) -> Launch:
        argv = (str(executable()), *FLAGS, str(CHILD), str(result_fd), *map(str, sizes))
        return Launch(argv, {**ENVIRONMENT, SECRET: "secret"})

    execution = execution_of(
        "the self-test's control", await supervise(launch, attacks, limits), limits
    )
    if execution.status != "ok":
        raise SandboxUnavailable(f"the self-test itself fails: {execution.detail}")
    return execution
