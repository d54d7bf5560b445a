"""A sandbox whose programs are counted."""

from graph.metrics import SANDBOX_RUNS, sandbox_ready
from graph.sandbox.contract import (
    DEFAULT_LIMITS,
    Execution,
    Limits,
    Program,
    Sandbox,
    SandboxUnavailable,
)


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
