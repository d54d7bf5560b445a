"""The sandbox of Landlock, seccomp and rlimits: works without user namespaces, as in a pod."""

import importlib.util
import json
from pathlib import Path

from selfheal.graph.sandbox.interpreter import (
    CHILD,
    ENVIRONMENT,
    FLAGS,
    ONE_THREAD,
    executable,
    readable,
    standard_library,
)
from selfheal.graph.sandbox.outcome import execution_of
from selfheal.graph.sandbox.process import Launch, supervise
from selfheal.graph.sandbox.protocol import (
    DEFAULT_LIMITS,
    Execution,
    Limits,
    Program,
    SandboxUnavailable,
)
from selfheal.graph.sandbox.scratch import overfull, scratch_folder
from selfheal.graph.sandbox.seccomp import filter_program

LAUNCHER = Path(__file__).with_name("landlock_launcher.py")
REMEDY = "Use Linux 6.2 or later with Landlock enabled, and `pip install py-landlock`"


class LandlockSandbox:
    """Runs each program in a process that restricts itself before.

    Args:
        packages: a folder of packages that programs can import.
    """

    name = "landlock"

    def __init__(self, packages: Path | None = None) -> None:
        self._packages = packages

    async def run(self, program: Program, limits: Limits = DEFAULT_LIMITS) -> Execution:
        """Run a program. See `Sandbox.run`.

        Raises:
            SandboxUnavailable: Landlock or seccomp is missing or does not work here.
        """
        packages = _packages()
        async with scratch_folder() as scratch:

            def launch(result_fd: int) -> Launch:
                lock = json.dumps(_lock(packages, scratch, result_fd, limits, self._packages))
                return Launch(
                    (str(executable()), *FLAGS, str(LAUNCHER), lock),
                    {
                        **ENVIRONMENT,
                        **(dict.fromkeys(ONE_THREAD, "1") if self._packages else {}),
                        "HOME": str(scratch),
                        "TMPDIR": str(scratch),
                    },
                    disk_full=lambda pid: overfull(scratch, pid, limits.disk_bytes),
                )

            ending = await supervise(launch, program, limits)
        return execution_of(self.name, ending, limits)

    async def aclose(self) -> None:
        """Do nothing: nothing is kept between runs."""


def _lock(
    launchers: str, scratch: Path, result_fd: int, limits: Limits, packages: Path | None
) -> dict[str, object]:
    """Return the argument of landlock_launcher.py."""
    given = [str(packages)] if packages else []
    sizes = (limits.cpu_seconds, limits.memory_bytes, limits.disk_bytes)
    return {
        "packages": launchers,
        "child": str(CHILD),
        "importable": [str(standard_library()), *given],
        "readable": [*(str(path) for path in readable()), *given],
        "scratch": str(scratch),
        "filter": filter_program().hex(),
        "arguments": [result_fd, *sizes],
        "given": "".join(given),
    }


def _packages() -> str:
    """Return the folder from which the launcher imports py_landlock.

    Raises:
        SandboxUnavailable: it is not installed.
    """
    spec = importlib.util.find_spec("py_landlock")
    if spec is None or spec.origin is None:
        raise SandboxUnavailable("py-landlock is not installed", REMEDY)
    return str(Path(spec.origin).parents[1])
