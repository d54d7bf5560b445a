"""Where no sandbox works, nothing is run, and that is what is said."""

from selfheal.graph.sandbox.protocol import DEFAULT_LIMITS, Execution, Limits, Program


class StaticSandbox:
    """Runs nothing: its every answer is `not_run`, neither pass nor fail."""

    name = "static"

    def __init__(self, reason: str) -> None:
        self._reason = reason

    async def run(self, program: Program, limits: Limits = DEFAULT_LIMITS) -> Execution:
        """Say why the program was not run."""
        return Execution(self.name, "not_run", self._reason, 0.0, "", ())

    async def aclose(self) -> None:
        """Do nothing: nothing is kept between runs."""
