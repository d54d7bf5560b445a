"""The optimizer graph. Defines no class: Studio loads this file under a name of its own."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from selfheal.optimizer.context import RuntimeContext, traced_state
from selfheal.optimizer.nodes.attribute import blame
from selfheal.optimizer.nodes.conclude import conclude
from selfheal.optimizer.nodes.detect import detect
from selfheal.optimizer.nodes.diagnose import diagnose
from selfheal.optimizer.nodes.edits import edits
from selfheal.optimizer.nodes.gate import gate
from selfheal.optimizer.nodes.lint import lint
from selfheal.optimizer.nodes.propose import propose
from selfheal.optimizer.nodes.release import release
from selfheal.optimizer.nodes.sample import sample
from selfheal.optimizer.nodes.screen import screen
from selfheal.optimizer.nodes.shorten import halve, trim
from selfheal.optimizer.nodes.triage import triage
from selfheal.optimizer.policy import transitions
from selfheal.optimizer.policy.ablation import half
from selfheal.optimizer.state import Result, State, Trigger, is_shortening

OptimizerGraph = CompiledStateGraph[State, RuntimeContext, Trigger, Result]


def build_graph(checkpointer: BaseCheckpointSaver[Any] | None = None) -> OptimizerGraph:
    """Return the compiled optimizer; give it `context={"context": …}` with each invocation."""
    graph = StateGraph(
        State, context_schema=RuntimeContext, input_schema=Trigger, output_schema=Result
    )
    for node in (detect, triage):  # triage opens the healing, and is traced from there
        graph.add_node(node.__name__, node)
    attributing = (sample, diagnose, blame)
    for node in (*attributing, trim, halve, propose, lint, screen, edits, gate, release, conclude):
        graph.add_node(node.__name__, _traced(node))
    graph.add_edge(START, "detect")
    graph.add_conditional_edges("detect", after_detect)
    graph.add_conditional_edges("triage", after_triage)
    graph.add_conditional_edges("sample", after_sample)
    graph.add_conditional_edges("diagnose", after_diagnose)
    graph.add_conditional_edges("blame", after_blame)
    graph.add_conditional_edges("trim", after_trim)
    graph.add_edge("halve", "gate")
    graph.add_edge("propose", "lint")
    graph.add_conditional_edges("lint", after_lint)
    graph.add_conditional_edges("screen", after_screen)
    graph.add_conditional_edges("edits", after_edits)
    graph.add_conditional_edges("gate", after_gate)
    graph.add_edge("release", "conclude")
    graph.add_edge("conclude", END)
    return graph.compile(checkpointer=checkpointer, name="optimizer")


def _traced(node: Callable[..., Awaitable[State]]) -> Any:
    """Return the node, traced as a state of the healing."""

    @functools.wraps(node)
    async def state(state: State, runtime: Runtime[RuntimeContext]) -> State:
        with traced_state(runtime, node.__name__, agent=state.get("agent")) as found:
            updates = await node(state, runtime)
            found.update(updates or {})
        return updates

    return state


def after_detect(state: State) -> str:
    """Continue unless there is nothing to heal."""
    return END if state.get("outcome") else "triage"


def after_triage(state: State) -> str:
    """Continue unless it is over; a healing that was opened is closed with its receipt."""
    if not state.get("outcome"):
        return "sample"
    return "conclude" if state.get("healing_id") else END


def after_sample(state: State) -> Literal["trim", "diagnose", "propose"]:
    """Diagnose, unless that was done: the findings are about this agent, on the same runs.

    An evaluator's cases differ from the runs that led to it.
    """
    if is_shortening(state.get("trigger")):
        return "trim"
    known = _diagnosed(state) and state["agent"] != "evaluator"
    return "propose" if known else "diagnose"


def after_trim(state: State) -> Literal["gate", "conclude"]:
    """Send to the gate what may go."""
    return "conclude" if state.get("outcome") else "gate"


def after_diagnose(state: State) -> Literal["blame", "propose"]:
    """Decide whose prompt it is, unless that was requested or is known."""
    return "propose" if state["blamed"] else "blame"


def after_blame(state: State) -> Literal["sample", "diagnose", "propose"]:
    """Make the other agents' cases; the worker's exist already."""
    if state["agent"] != "worker":
        return "sample"
    return "propose" if _diagnosed(state) else "diagnose"


def _diagnosed(state: State) -> bool:
    """Tell whether there is a diagnosis of the very agent that was found to be the cause."""
    findings = state.get("findings")
    decided = findings.get("attribution") if findings else None
    return decided is not None and decided["evidence"]["diagnosed"] == state["agent"]


def after_lint(state: State) -> Literal["screen", "propose", "conclude"]:
    """Screen what is not rejected yet."""
    return transitions.after_lint(state["proposals"], state["round"])


def after_screen(state: State) -> Literal["edits", "propose", "conclude"]:
    """Test the survivor's edits."""
    return transitions.after_screen(state.get("survivor"), state["round"])


def after_edits(state: State) -> Literal["gate", "propose", "conclude"]:
    """Send what is left of the survivor to the gate."""
    return transitions.after_edits(state.get("survivor"), state["round"])


def after_gate(state: State) -> Literal["release", "halve", "propose", "conclude"]:
    """Release or stage what was not rejected; else try something else, once."""
    if not is_shortening(state.get("trigger")):
        return transitions.after_gate(state["gates"], state["round"])
    live, last = state["incumbent"]["text"], state["gates"][-1]["ordinal"]
    smaller = half(state["agent"], live, state["proposals"], last)
    return transitions.after_shortening_gate(state["gates"], divisible=smaller is not None)


optimizer = build_graph()
