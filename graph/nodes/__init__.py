"""The nodes of the code agent, and the metric of their duration."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Final, TypeVar, cast

from langgraph.runtime import Runtime
from prometheus_client import Histogram

from selfheal.graph.context import InvocationContext
from selfheal.graph.state import State

SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300)
NODE_SECONDS: Final = Histogram(
    "selfheal_node_duration_seconds",
    "Duration of each node of a run.",
    ("node",),
    buckets=SECONDS,
)
for _node in ("manager", "worker", "evaluator"):
    NODE_SECONDS.labels(_node)

Node = TypeVar("Node", bound=Callable[..., Awaitable[dict[str, Any]]])


def timed(name: str, node: Node) -> Node:
    """Return a node whose duration is observed under a name."""

    @wraps(node)
    async def observed(state: State, runtime: Runtime[InvocationContext]) -> dict[str, Any]:
        with NODE_SECONDS.labels(name).time():
            return await node(state, runtime)

    return cast("Node", observed)
