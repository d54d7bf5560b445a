"""Landlock, seccomp and rlimits: for machines without user namespaces, such as a default pod."""

import importlib.util
import json
from pathlib import Path

from graph.sandbox.contract import (
    DEFAULT_LIMITS,
    Execution,
    Limits,
    Program,
    SandboxUnavailable,
)
from graph.sandbox.interpreter import (
    CHILD,
    ENVIRONMENT,
    FLAGS,
    executable,
    readable,
    standard_library,
)
from graph.sandbox.launch import Launch
from graph.sandbox.process import supervise
from graph.sandbox.scratch import overfull, scratch_folder
from graph.sandbox.seccomp import filter_program
from graph.sandbox.verdict import tell

LAUNCHER = Path(__file__).with_name("landlock_launcher.py")
MEND = "Use Linux 6.2 or later with Landlock enabled, and `pip install py-landlock`"


class LandlockSandbox:
    """Runs each program in a process that has locked itself in."""

    name = "landlock"

    async def run(self, program: Program, limits: Limits = DEFAULT_LIMITS) -> Execution:
        """Run a program; see `contract.Sandbox.run`.

        Raises:
            SandboxUnavailable: Landlock or seccomp is missing or does not work here.
        """
        packages = _packages()
        async with scratch_folder() as scratch:

            def launch(result_fd: int) -> Launch:
                lock = json.dumps(_lock(packages, scratch, result_fd, limits))
                return Launch(
                    (str(executable()), *FLAGS, str(LAUNCHER), lock),
                    {**ENVIRONMENT, "HOME": str(scratch), "TMPDIR": str(scratch)},
                    disk_full=lambda pid: overfull(scratch, pid, limits.disk_bytes),
                )

            ending = await supervise(launch, program, limits)
        return tell(self.name, ending, limits)

    async def aclose(self) -> None:
        """Do nothing: nothing is kept between runs."""


def _lock(packages: str, scratch: Path, result_fd: int, limits: Limits) -> dict[str, object]:
    """Return what the launcher needs to know."""
    sizes = (limits.cpu_seconds, limits.memory_bytes, limits.disk_bytes)
    return {
        "packages": packages,
        "child": str(CHILD),
        "standard_library": str(standard_library()),
        "readable": [str(path) for path in readable()],
        "scratch": str(scratch),
        "filter": filter_program().hex(),
        "arguments": [result_fd, *sizes],
    }


def _packages() -> str:
    """Return the folder that py_landlock lies in, which the launcher imports it from."""
    spec = importlib.util.find_spec("py_landlock")
    if spec is None or spec.origin is None:
        raise SandboxUnavailable("py-landlock is not installed", MEND)
    return str(Path(spec.origin).parents[1])
