"""A sandbox whose programs are counted."""

from typing import Final

from prometheus_client import Counter

from selfheal.graph.sandbox.protocol import (
    DEFAULT_LIMITS,
    Execution,
    Limits,
    Program,
    Sandbox,
    SandboxUnavailable,
)

SANDBOX_RUNS: Final = Counter(
    "selfheal_sandbox_runs_total",
    "Programs that were run, by how they ended; `unavailable` is the sandbox's own failure.",
    ("backend", "outcome"),
)


def sandbox_ready(backend: str) -> None:
    """Make the series of a sandbox, once it is known which one is used."""
    for outcome in ("ok", "error", "timeout", "memory", "output", "killed", "unavailable"):
        SANDBOX_RUNS.labels(backend, outcome)


class Counted:
    """Another sandbox, with its programs counted by how they ended."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        sandbox_ready(sandbox.name)

    @property
    def name(self) -> str:
        """The backend's name."""
        return self._sandbox.name

    async def run(self, program: Program, limits: Limits = DEFAULT_LIMITS) -> Execution:
        """Run a program.

        Raises:
            SandboxUnavailable: the sandbox itself broke.
        """
        try:
            execution = await self._sandbox.run(program, limits)
        except SandboxUnavailable:
            SANDBOX_RUNS.labels(self.name, "unavailable").inc()
            raise
        SANDBOX_RUNS.labels(self.name, execution.status).inc()
        return execution

    async def aclose(self) -> None:
        """End what the sandbox keeps."""
        await self._sandbox.aclose()
