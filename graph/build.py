"""The agent graph: manager, worker, evaluator.

Defines no class, since Studio loads this file under another module name.
"""

from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from selfheal.graph.context import InvocationContext
from selfheal.graph.nodes import timed
from selfheal.graph.nodes.evaluator import evaluator
from selfheal.graph.nodes.manager import manager
from selfheal.graph.nodes.worker import worker
from selfheal.graph.state import Request, Result, State

AgentGraph = CompiledStateGraph[State, InvocationContext, Request, Result]


def build_graph(checkpointer: BaseCheckpointSaver[Any] | None = None) -> AgentGraph:
    """Return the compiled graph, which is invoked with `context={"context": Context(…)}`."""
    graph = StateGraph(
        State, context_schema=InvocationContext, input_schema=Request, output_schema=Result
    )
    graph.add_node("manager", timed("manager", manager))
    graph.add_node("worker", timed("worker", worker))
    graph.add_node("evaluator", timed("evaluator", evaluator))
    graph.add_edge(START, "manager")
    graph.add_edge("manager", "worker")
    graph.add_edge("worker", "evaluator")
    graph.add_edge("evaluator", END)
    return graph.compile(checkpointer=checkpointer, name="agent")


agent = build_graph()
