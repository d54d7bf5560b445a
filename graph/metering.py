"""What model calls cost, those included whose answer was of no use."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from graph.state import Usage

_meter: ContextVar[Usage | None] = ContextVar("meter", default=None)


@contextmanager
def metered() -> Iterator[Usage]:
    """Count the model calls of the body into the usage that is yielded, as they happen.

    A call counts from the moment that it is made: it may cost something even if its answer
    never comes. One that the server refused to work on does not.
    """
    usage = Usage(calls=0, input_tokens=0, output_tokens=0)
    token = _meter.set(usage)
    try:
        yield usage
    finally:
        _meter.reset(token)


def count(*, calls: int = 0, input_tokens: int = 0, output_tokens: int = 0) -> None:
    """Add to what is being counted, if anybody counts."""
    if usage := _meter.get():
        usage["calls"] += calls
        usage["input_tokens"] += input_tokens
        usage["output_tokens"] += output_tokens
