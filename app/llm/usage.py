"""Usage of model calls: metered for a caller, and counted for Prometheus.

No label names a run, a thread, a user or a version, so that the number of series is fixed. Every
series exists from the start, because a rate needs an earlier value.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import product
from typing import Final, Literal

from prometheus_client import Counter, disable_created_metrics
from typing_extensions import TypedDict  # required by pydantic below Python 3.12

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
    "Model calls by agent and outcome; retries count separately, and trials of a healing count for"
    " the agent whose prompt they try. `output`: an empty, truncated, blocked or malformed answer.",
    ("agent", "outcome"),
)
MODEL_TOKENS: Final = Counter(
    "selfheal_model_tokens_total", "Tokens of model calls.", ("agent", "direction")
)
MODEL_FALLBACKS: Final = Counter("selfheal_model_fallbacks_total", "Answers of fall-back models.")
for _caller, _outcome in product(CALLERS, CALL_OUTCOMES):
    MODEL_CALLS.labels(_caller, _outcome)
for _caller, _direction in product(CALLERS, ("input", "output")):
    MODEL_TOKENS.labels(_caller, _direction)


class Usage(TypedDict):
    """The number of model calls, and their tokens."""

    calls: int
    input_tokens: int
    output_tokens: int


NO_USAGE: Final = Usage(calls=0, input_tokens=0, output_tokens=0)

_meter: ContextVar[Usage | None] = ContextVar("meter", default=None)


def total_usage(usages: Iterable[Usage]) -> Usage:
    """Return the sum of usages."""
    total = NO_USAGE.copy()
    for usage in usages:
        total["calls"] += usage["calls"]
        total["input_tokens"] += usage["input_tokens"]
        total["output_tokens"] += usage["output_tokens"]
    return total


@contextmanager
def metered() -> Iterator[Usage]:
    """Add the model calls of the body to the usage that is yielded, as they happen.

    A call counts from its start, since it may cost something even if its answer never arrives. A
    call that the server refused to work on does not count.
    """
    usage = NO_USAGE.copy()
    token = _meter.set(usage)
    try:
        yield usage
    finally:
        _meter.reset(token)


def add_to_meter(*, calls: int = 0, input_tokens: int = 0, output_tokens: int = 0) -> None:
    """Add to the usage of the innermost `metered` block, if there is one."""
    if usage := _meter.get():
        usage["calls"] += calls
        usage["input_tokens"] += input_tokens
        usage["output_tokens"] += output_tokens
