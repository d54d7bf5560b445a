"""Running a case under a prompt of one's choice, with the very nodes of the agent."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

from langgraph.runtime import Runtime

from selfheal.app.errors import RunError
from selfheal.app.judge import MOST_CALLS as MOST_JUDGE_CALLS
from selfheal.app.judge import opinion
from selfheal.app.llm.client import CALLS_AN_ANSWER
from selfheal.db.prompts import Prompt
from selfheal.db.types import Agent
from selfheal.graph.context import Context, Given, PromptStore
from selfheal.graph.evaluator import case as judged
from selfheal.graph.nodes.evaluator import evaluator
from selfheal.graph.nodes.manager import manager
from selfheal.graph.nodes.worker import worker
from selfheal.graph.state import Plan, State, merge
from selfheal.optimizer.dataset.golden_verdicts import TOLERANCE
from selfheal.optimizer.state import Case

TRIAL_SECONDS = 180.0
# The calls of one trial at worst: those of the agents that run, and the judge's.
TRIAL_CALLS: dict[Agent, int] = {
    "worker": CALLS_AN_ANSWER + MOST_JUDGE_CALLS,
    "manager": 2 * CALLS_AN_ANSWER + MOST_JUDGE_CALLS,
    "evaluator": CALLS_AN_ANSWER,
}
_UNRELEASED = 0

Node = Callable[[State, Runtime[Given]], Awaitable[dict[str, Any]]]


class OverriddenPrompts:
    """The released prompts, but one of them replaced by a text that nobody released."""

    def __init__(self, store: PromptStore, agent: Agent, text: str) -> None:
        self._store = store
        self._prompt = Prompt(
            agent, _UNRELEASED, text, None, "optimizer", "", "", datetime.now(UTC)
        )

    async def released(self, agent: Agent) -> Prompt:
        """Return the replacement for its agent, the released prompt for the others."""
        return self._prompt if agent == self._prompt.agent else await self._store.released(agent)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What one case came to. `verdict` is false where neither pass nor fail is known.

    `seen` is what there is of plan, code, evaluation, judge's score and message, to be shown.
    """

    outcome: str
    passed: bool
    score: float
    executed: bool
    seen: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> bool:
        """Whether this is evidence: a judged and executed program, or an unusable answer."""
        return self.outcome == "output" or (self.outcome in ("ok", "failed") and self.executed)


async def make_plan(context: Context, case: Case) -> Plan:
    """Return the plan of a case under the released manager's prompt.

    Raises:
        RunError: the manager gave none.
    """
    state = await _run(context, case, manager)
    return cast("Plan", state["plan"])


async def replay(
    context: Context, case: Case, agent: Agent, text: str, plan: Plan | None
) -> Replayed:
    """Run a case with `text` as the agent's prompt; what runs depends on whose prompt it is.

    Args:
        plan: the plan to work from when the worker is tried. A manager makes its own; what an
            evaluator marks has one already.
    """
    tried = replace(context, prompts=OverriddenPrompts(context.prompts, agent, text))
    try:
        async with asyncio.timeout(TRIAL_SECONDS):
            if agent == "evaluator":
                return await _marked(tried, case)
            if agent == "manager":
                return await _planned(tried, case)
            return _verdict(await _run(tried, case, worker, evaluator, plan=plan))
    except RunError as error:
        return _failed(error.outcome, plan, str(error))
    except TimeoutError:
        return _failed("infrastructure", plan, "it took too long")


async def _planned(context: Context, case: Case) -> Replayed:
    """Run all three agents. The verdict rests on what was stated, and not on the plan.

    A manager that could add requirements and examples to what it is judged by would be rewarded
    for plans that ask for little.
    """
    state = await _run(context, case, manager, worker)
    stated = [each for each in state["plan"]["examples"] if each["origin"] == "stated"]
    plan = {**state["plan"], "title": "", "requirements": [], "examples": stated}
    verdict = _verdict(await _run(context, case, evaluator, plan=plan, code=state["code"]))
    return replace(verdict, seen={**verdict.seen, "plan": state["plan"]})


async def _marked(context: Context, case: Case) -> Replayed:
    """Have the judge mark a program whose mark is known: it passes if it comes near enough."""
    prompt = await context.prompts.released("evaluator")
    message = judged(case["request"], case["plan"], case["code"])
    answer = await opinion(context.evaluator.model, prompt.text, message)
    off = abs(answer.content.score - case["mark"])
    passed = off <= TOLERANCE
    seen = {"judge": answer.content.score}
    return Replayed("ok" if passed else "failed", passed, 1 - off, executed=True, seen=seen)


def _verdict(state: dict[str, Any]) -> Replayed:
    evaluation = state["evaluation"]
    return Replayed(
        outcome="ok" if evaluation["passed"] else "failed",
        passed=evaluation["passed"],
        score=evaluation["score"],
        executed=evaluation["execution"]["status"] != "not_run",
        seen={name: state.get(name) for name in ("plan", "code", "evaluation")},
    )


def _failed(outcome: str, plan: Mapping[str, Any] | None, message: str) -> Replayed:
    seen = {"plan": plan, "message": message}
    return Replayed(outcome, passed=False, score=0.0, executed=False, seen=seen)


async def _run(context: Context, case: Case, *nodes: Node, **known: Any) -> dict[str, Any]:
    """Run nodes of the agent one after another; return the state that they leave.

    Not as a graph: inside a node of a graph that is being resumed, LangGraph would take it for a
    subgraph, and resume that too.
    """
    state: dict[str, Any] = {"request": case["request"], "examples": case["examples"], **known}
    for node in nodes:
        merge(state, await node(cast("State", state), Runtime(context=Given(context=context))))
    return state
