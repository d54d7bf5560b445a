"""The optimizer graph. Defines no class: Studio loads this file under a name of its own."""

from typing import Any, Literal

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from optimizer.context import Given
from optimizer.nodes.conclude import conclude
from optimizer.nodes.detect import detect
from optimizer.nodes.diagnose import diagnose
from optimizer.nodes.gate import MOST_GATES, gate
from optimizer.nodes.lint import lint
from optimizer.nodes.propose import ROUNDS, propose
from optimizer.nodes.release import release
from optimizer.nodes.sample import sample
from optimizer.nodes.screen import screen
from optimizer.nodes.triage import triage
from optimizer.state import Result, State, Trigger

OptimizerGraph = CompiledStateGraph[State, Given, Trigger, Result]


def build_graph(checkpointer: BaseCheckpointSaver[Any] | None = None) -> OptimizerGraph:
    """Return the compiled optimizer; give it `context={"doctor": …}` with each invocation."""
    graph = StateGraph(State, context_schema=Given, input_schema=Trigger, output_schema=Result)
    for node in (detect, triage, sample, diagnose, propose, lint, screen, gate, release, conclude):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "detect")
    graph.add_conditional_edges("detect", after_detect)
    graph.add_conditional_edges("triage", after_triage)
    graph.add_edge("sample", "diagnose")
    graph.add_edge("diagnose", "propose")
    graph.add_edge("propose", "lint")
    graph.add_conditional_edges("lint", after_lint)
    graph.add_conditional_edges("screen", after_screen)
    graph.add_conditional_edges("gate", after_gate)
    graph.add_edge("release", "conclude")
    graph.add_edge("conclude", END)
    return graph.compile(checkpointer=checkpointer, name="optimizer")


def after_detect(state: State) -> str:
    """Go on unless there is nothing to heal."""
    return END if state.get("outcome") else "triage"


def after_triage(state: State) -> str:
    """Go on unless it is over; a healing that was opened is closed with its receipt."""
    if not state.get("outcome"):
        return "sample"
    return "conclude" if state.get("healing_id") else END


def after_lint(state: State) -> Literal["screen", "propose", "conclude"]:
    """Screen what is still in the race."""
    racing = any(not each["fate"] for each in state["proposals"])
    return "screen" if racing else _again(state)


def after_screen(state: State) -> Literal["gate", "propose", "conclude"]:
    """Send the survivor to the gate."""
    return "gate" if state.get("survivor") else _again(state)


def after_gate(state: State) -> Literal["release", "propose", "conclude"]:
    """Release or stage what was not rejected; after a rejection try again, once."""
    last = state["gates"][-1]
    if last["verdict"] != "rejected":
        return "release"
    may_retry = len(state["gates"]) < MOST_GATES and not last["budget_spent"]
    return _again(state) if may_retry else "conclude"


def _again(state: State) -> Literal["propose", "conclude"]:
    return "propose" if state["round"] < ROUNDS else "conclude"


optimizer = build_graph()
