"""What model calls use: counted for a caller, and for Prometheus.

No label names a run, a thread, a user or a version: series must not grow with use. Every series
exists from the start, because a rate needs an earlier value.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import product
from typing import Final, Literal

from prometheus_client import Counter, disable_created_metrics
from typing_extensions import TypedDict  # pydantic wants this one below Python 3.12

disable_created_metrics()  # type: ignore[no-untyped-call]  # a `_created` series doubles their number

Caller = Literal["manager", "worker", "evaluator", "optimizer"]
CallOutcome = Literal[
    "ok", "output", "limited", "retired", "denied", "refused", "timeout", "away", "error"
]

CALLERS: Final[tuple[Caller, ...]] = ("manager", "worker", "evaluator", "optimizer")
CALL_OUTCOMES: Final[tuple[CallOutcome, ...]] = (
    *("ok", "output", "limited", "retired", "denied"),
    *("refused", "timeout", "away", "error"),
)
MODEL_CALLS: Final = Counter(
    "selfheal_model_calls_total",
    "Calls of a model, each try for itself, by who called; trials of a healing count as the agent's"
    " that they try. `output`: the answer was empty, cut off, blocked or unreadable.",
    ("agent", "outcome"),
)
MODEL_TOKENS: Final = Counter(
    "selfheal_model_tokens_total", "Tokens of model calls.", ("agent", "direction")
)
MODEL_FALLBACKS: Final = Counter(
    "selfheal_model_fallbacks_total", "Answers that came from a model to fall back to."
)
for _caller, _outcome in product(CALLERS, CALL_OUTCOMES):
    MODEL_CALLS.labels(_caller, _outcome)
for _caller, _direction in product(CALLERS, ("input", "output")):
    MODEL_TOKENS.labels(_caller, _direction)


class Usage(TypedDict):
    """What model calls used: their number, and their tokens."""

    calls: int
    input_tokens: int
    output_tokens: int


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
