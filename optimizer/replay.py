"""Running a case under a prompt of one's choice, with the very nodes of the agent."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

from langgraph.runtime import Runtime

from db.prompts import Agent, Prompt
from graph.context import Context, Given, PromptStore
from graph.errors import RunError
from graph.judge import MOST_CALLS as MOST_JUDGE_CALLS
from graph.nodes.evaluator import evaluator
from graph.nodes.manager import manager
from graph.nodes.worker import worker
from graph.state import State, merge
from optimizer.state import Case

TRIAL_SECONDS = 180.0
TRIAL_CALLS = 1 + MOST_JUDGE_CALLS  # the worker's, and the judge's at worst
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
    """What one case came to. `verdict` is false where neither pass nor fail is known."""

    outcome: str
    passed: bool
    score: float
    executed: bool

    @property
    def verdict(self) -> bool:
        """Whether this is evidence: a judged and executed program, or an unusable answer."""
        return self.outcome == "output" or (self.outcome in ("ok", "failed") and self.executed)


async def make_plan(context: Context, case: Case) -> dict[str, Any]:
    """Return the plan of a case under the released manager's prompt.

    Raises:
        RunError: the manager gave none.
    """
    state = await _run(context, case, manager)
    return dict(state["plan"])


async def replay(
    context: Context, case: Case, agent: Agent, text: str, plan: dict[str, Any]
) -> Replayed:
    """Run worker and evaluator on a planned case, with `text` as the agent's prompt."""
    tried = replace(context, prompts=OverriddenPrompts(context.prompts, agent, text))
    try:
        async with asyncio.timeout(TRIAL_SECONDS):
            state = await _run(tried, case, worker, evaluator, plan=plan)
    except RunError as error:
        return _failed(error.error_class)
    except TimeoutError:
        return _failed("infrastructure")
    evaluation = state["evaluation"]
    return Replayed(
        outcome="ok" if evaluation["passed"] else "failed",
        passed=evaluation["passed"],
        score=evaluation["score"],
        executed=evaluation["execution"]["status"] != "not_run",
    )


def _failed(outcome: str) -> Replayed:
    return Replayed(outcome, passed=False, score=0.0, executed=False)


async def _run(context: Context, case: Case, *nodes: Node, **known: Any) -> dict[str, Any]:
    """Run nodes of the agent one after another; return the state that they leave.

    Not as a graph: inside a node of a graph that is being resumed, LangGraph would take it for a
    subgraph, and resume that too.
    """
    state: dict[str, Any] = {"request": case["request"], "examples": case["examples"], **known}
    for node in nodes:
        merge(state, await node(cast("State", state), Runtime(context=Given(context=context))))
    return state
