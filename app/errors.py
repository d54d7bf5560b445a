"""Why a run ended without a verdict.

The outcome of an error names whose fault it was, and so what can mend it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Literal

ErrorOutcome = Literal["output", "infrastructure", "model", "evaluation", "request"]


class RunError(Exception):
    """A run ended without a verdict.

    `outcome` is what the run log records. Messages are written for the caller: they carry
    no key, no prompt and no internals.
    """

    outcome: ClassVar[ErrorOutcome]

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.prompt_versions: dict[str, int] = {}


@contextmanager
def under(agent: str, version: int) -> Iterator[None]:
    """Let an error of this block know the prompt that it happened under.

    A node that raises returns nothing, and the log must still know which version failed.
    """
    try:
        yield
    except RunError as error:
        error.prompt_versions[agent] = version
        raise


class OutputError(RunError):
    """The model answered, but with nothing usable: truncated, blocked or unparseable."""

    outcome = "output"


class InfrastructureError(RunError):
    """The model could not be reached in time: rate limit, server error, time-out."""

    outcome = "infrastructure"


class ModelUnavailableError(RunError):
    """The model does not exist, was retired, or this key may not use it."""

    outcome = "model"


class EvaluationError(RunError):
    """The code could not be judged: the judge or the sandbox failed, not the code."""

    outcome = "evaluation"


class RequestError(RunError):
    """The request itself cannot be worked on."""

    outcome = "request"
