"""The optimizer graph. Defines no class: Studio loads this file under a name of its own."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from selfheal.app.errors import RunError
from selfheal.optimizer.budget import BudgetSpentError
from selfheal.optimizer.context import RuntimeContext, traced_state
from selfheal.optimizer.dataset.cases import production_ids
from selfheal.optimizer.nodes.attribute import blame
from selfheal.optimizer.nodes.collect import collect
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
from selfheal.optimizer.outcomes import failure_reason
from selfheal.optimizer.policy import collecting, transitions
from selfheal.optimizer.policy.ablation import half
from selfheal.optimizer.policy.rollout_plan import expected_pass_rate, proven
from selfheal.optimizer.state import Result, State, Trigger, is_shortening

OptimizerGraph = CompiledStateGraph[State, RuntimeContext, Trigger, Result]


def build_graph(checkpointer: BaseCheckpointSaver[Any] | None = None) -> OptimizerGraph:
    """Return the compiled optimizer; give it `context={"context": …}` with each invocation."""
    graph = StateGraph(
        State, context_schema=RuntimeContext, input_schema=Trigger, output_schema=Result
    )
    for node in (detect, triage):  # triage opens the healing, and is traced from there
        graph.add_node(node.__name__, node)
    for node in (sample, diagnose, blame, trim, halve, collect, release, conclude):
        graph.add_node(node.__name__, _traced(node))
    for node in (propose, lint, screen, edits, gate):
        graph.add_node(node.__name__, _traced(_keeping_proof(node)))
    graph.add_edge(START, "detect")
    graph.add_conditional_edges("detect", after_detect)
    graph.add_conditional_edges("triage", after_triage)
    graph.add_conditional_edges("sample", after_sample)
    graph.add_conditional_edges("diagnose", after_diagnose)
    graph.add_conditional_edges("blame", after_blame)
    graph.add_conditional_edges("trim", after_trim)
    graph.add_edge("halve", "gate")
    graph.add_conditional_edges("propose", after_propose)
    graph.add_conditional_edges("lint", after_lint)
    graph.add_conditional_edges("screen", after_screen)
    graph.add_conditional_edges("edits", after_edits)
    graph.add_conditional_edges("gate", after_gate)
    graph.add_conditional_edges("collect", after_collect)
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


def _keeping_proof(node: Callable[..., Awaitable[State]]) -> Callable[..., Awaitable[State]]:
    """Return the node; where it fails after a gate has accepted a candidate, the round ends."""

    @functools.wraps(node)
    async def state(state: State, runtime: Runtime[RuntimeContext]) -> State:
        try:
            return await node(state, runtime)
        except (BudgetSpentError, RunError) as error:
            if not proven(state["gates"]):
                raise
            return State(cut_short=failure_reason(error))

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
    if "kept_candidate" in state:
        return "propose"
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


def after_propose(state: State) -> Literal["lint", "release"]:
    """Lint the new proposals."""
    return "release" if "cut_short" in state else "lint"


def after_lint(state: State) -> Literal["screen", "gate", "propose", "release", "conclude"]:
    """Screen what remains, unless it needs no screening."""
    if "cut_short" in state:
        return "release"
    return transitions.after_lint(state["proposals"], state["round"], state["gates"])


def after_screen(state: State) -> Literal["edits", "propose", "release", "conclude"]:
    """Test the survivor's edits."""
    if "cut_short" in state:
        return "release"
    return transitions.after_screen(state.get("survivor"), state["round"], state["gates"])


def after_edits(state: State) -> Literal["gate", "propose", "release", "conclude"]:
    """Send what is left of the survivor to the gate."""
    if "cut_short" in state:
        return "release"
    return transitions.after_edits(state.get("survivor"), state["round"], state["gates"])


def after_gate(state: State) -> Literal["collect", "release", "halve", "propose", "conclude"]:
    """Release or stage what was not rejected; else try something else, once."""
    if "cut_short" in state:
        return "release"
    if not is_shortening(state.get("trigger")):
        if not proven(state["gates"]) and _may_be_kept(state):
            return "collect"
        expected = expected_pass_rate(state["agent"], state.get("detection"))
        return transitions.after_gate(state["gates"], state["round"], expected)
    live, last = state["incumbent"]["text"], state["gates"][-1]["ordinal"]
    smaller = half(state["agent"], live, state["proposals"], last)
    return transitions.after_shortening_gate(state["gates"], divisible=smaller is not None)


def _may_be_kept(state: State) -> bool:
    """Tell whether the candidate of the last gate may be kept for cases to come.

    The first one needs failures: of a healing that was forced without any there are none to come.
    """
    gate = state["gates"][-1]
    origins = {each["ordinal"]: each["origin"] for each in state["proposals"]}
    return bool(state["failed_run_ids"]) and collecting.is_question(
        state["agent"],
        origins[gate["ordinal"]],
        gate,
        state.get("screens", []),
        production_ids(each["id"] for each in state["split"]["hold_out"]),
        state.get("edit_tests", []),
    )


def after_collect(state: State) -> Literal["release", "propose", "conclude"]:
    """End here if that was decided; else continue as after any other gate."""
    if state.get("outcome"):
        return "conclude"
    expected = expected_pass_rate(state["agent"], state.get("detection"))
    return transitions.after_gate(state["gates"], state["round"], expected)


optimizer = build_graph()
