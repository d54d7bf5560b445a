"""Metrics of sandboxes."""

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
    "Programs run in the sandbox by outcome; `unavailable`: the sandbox itself failed.",
    ("backend", "outcome"),
)


def create_series(backend: str) -> None:
    """Create the series of a sandbox, once it is selected."""
    for outcome in ("ok", "error", "timeout", "memory", "output", "killed", "unavailable"):
        SANDBOX_RUNS.labels(backend, outcome)


class MeteredSandbox:
    """Wraps a sandbox and counts its programs by outcome."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        create_series(sandbox.name)

    @property
    def name(self) -> str:
        """The backend's name."""
        return self._sandbox.name

    async def run(self, program: Program, limits: Limits = DEFAULT_LIMITS) -> Execution:
        """Run a program.

        Raises:
            SandboxUnavailable: the sandbox failed.
        """
        try:
            execution = await self._sandbox.run(program, limits)
        except SandboxUnavailable:
            SANDBOX_RUNS.labels(self.name, "unavailable").inc()
            raise
        SANDBOX_RUNS.labels(self.name, execution.status).inc()
        return execution

    async def aclose(self) -> None:
        """Close the sandbox."""
        await self._sandbox.aclose()
