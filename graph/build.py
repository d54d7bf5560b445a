"""The agent graph: manager, worker, evaluator.

Defines no class: Studio loads this file under a name of its own.
"""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar, cast

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from graph.context import Given
from graph.metrics import NODE_SECONDS
from graph.nodes.evaluator import evaluator
from graph.nodes.manager import manager
from graph.nodes.worker import worker
from graph.state import Request, Result, State

AgentGraph = CompiledStateGraph[State, Given, Request, Result]
Node = TypeVar("Node", bound=Callable[..., Awaitable[dict[str, Any]]])


def build_graph(checkpointer: BaseCheckpointSaver[Any] | None = None) -> AgentGraph:
    """Return the compiled agent; give it `context={"context": …}` with each invocation."""
    graph = StateGraph(State, context_schema=Given, input_schema=Request, output_schema=Result)
    graph.add_node("manager", _timed("manager", manager))
    graph.add_node("worker", _timed("worker", worker))
    graph.add_node("evaluator", _timed("evaluator", evaluator))
    graph.add_edge(START, "manager")
    graph.add_edge("manager", "worker")
    graph.add_edge("worker", "evaluator")
    graph.add_edge("evaluator", END)
    return graph.compile(checkpointer=checkpointer, name="agent")


def _timed(name: str, node: Node) -> Node:
    @wraps(node)
    async def timed(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
        with NODE_SECONDS.labels(name).time():
            return await node(state, runtime)

    return cast("Node", timed)


agent = build_graph()
