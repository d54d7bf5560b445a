"""Errors that end a run without a verdict, one class for each outcome.

The outcome says whose fault it was, and so what can fix it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Literal

ErrorOutcome = Literal["output", "infrastructure", "model", "evaluation", "request"]


class RunError(Exception):
    """A run ended without a verdict.

    The message is for the caller: it holds no key, no prompt and no internals.

    Attributes:
        outcome: is recorded in the run log.
        unusable: the model answered, but in a form that cannot be used. A prompt can cause that,
            an outage cannot.
        unusable_agent: whose answer that was, once it is known.
        prompt_versions: the version that was used, by agent.
    """

    outcome: ClassVar[ErrorOutcome]
    unusable: bool = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.unusable_agent: str | None = None
        self.prompt_versions: dict[str, int] = {}


@contextmanager
def under(agent: str, version: int) -> Iterator[None]:
    """Add the prompt's version to errors of the body, and the agent if its answer is unusable.

    A node that raises returns nothing, and the run log must still know which version failed.
    """
    try:
        yield
    except RunError as error:
        error.prompt_versions[agent] = version
        if error.unusable:
            error.unusable_agent = agent
        raise


class OutputError(RunError):
    """The model's answer cannot be used: truncated or malformed."""

    outcome = "output"
    unusable = True


class InfrastructureError(RunError):
    """The model could not be reached in time: rate limit, server error, time-out."""

    outcome = "infrastructure"


class ModelUnavailableError(RunError):
    """The model does not exist, was retired, or this key may not use it."""

    outcome = "model"


class EvaluationError(RunError):
    """The code could not be judged: the judge or the sandbox failed, not the code.

    Args:
        message: for the caller.
        unusable: the judge answered, but in a form that cannot be used.
    """

    outcome = "evaluation"

    def __init__(self, message: str, *, unusable: bool = False) -> None:
        super().__init__(message)
        self.unusable = unusable


class RequestError(RunError):
    """The request cannot be worked on, or the provider blocked it for its content."""

    outcome = "request"
