"""Run a case under a given prompt, with the agent's own nodes."""

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
from selfheal.app.llm.usage import Usage
from selfheal.db.prompts import Prompt
from selfheal.db.types import Agent
from selfheal.graph.context import Context, InvocationContext, PromptStore
from selfheal.graph.evaluator import judge_message
from selfheal.graph.nodes.evaluator import evaluator
from selfheal.graph.nodes.manager import manager
from selfheal.graph.nodes.worker import worker
from selfheal.graph.state import Plan, State, merge
from selfheal.optimizer.dataset.golden_verdicts import TOLERANCE
from selfheal.optimizer.records.cases import Case

TRIAL_SECONDS = 180.0
# The most model calls of one trial: those of the agents that run, and the judge's.
TRIAL_CALLS: dict[Agent, int] = {
    "worker": CALLS_AN_ANSWER + MOST_JUDGE_CALLS,
    "manager": 2 * CALLS_AN_ANSWER + MOST_JUDGE_CALLS,
    "evaluator": CALLS_AN_ANSWER,
}
_UNRELEASED = 0

Node = Callable[[State, Runtime[InvocationContext]], Awaitable[dict[str, Any]]]


class OverriddenPrompts:
    """The released prompts, with that of one agent replaced by a text that is no version."""

    def __init__(self, store: PromptStore, agent: Agent, text: str) -> None:
        self._store = store
        self._prompt = Prompt(
            agent, _UNRELEASED, text, None, "optimizer", "", "", datetime.now(UTC)
        )

    async def released(self, agent: Agent) -> Prompt:
        """Return the replacement for its agent, the released prompt for the others."""
        return self._prompt if agent == self._prompt.agent else await self._store.released(agent)


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The result of one case under one prompt.

    Attributes:
        outcome: `ok`, `failed`, or the outcome of the error, as in the log of runs.
        passed: whether the verdict was a pass; False without a verdict.
        score: from 0 to 1; 0 without a verdict.
        executed: whether the program was executed.
        details: whatever there is of `plan`, `code`, `evaluation`, `judge` (the judge's score) and
            `message` (of an error).
        tokens: input and output of one call of the agent whose prompt is tried; None if unknown.
    """

    outcome: str
    passed: bool
    score: float
    executed: bool
    details: Mapping[str, Any] = field(default_factory=dict)
    tokens: int | None = None


async def make_plan(context: Context, case: Case) -> Plan:
    """Return the plan of a case under the released manager's prompt.

    Raises:
        RunError: the manager gave no usable plan.
    """
    state = await _run(context, case, manager)
    return cast("Plan", state["plan"])


async def run_case(
    context: Context, case: Case, agent: Agent, text: str, plan: Plan | None
) -> CaseResult:
    """Run a case with `text` as the agent's prompt. Which agents run depends on whose prompt it is.

    Args:
        context: the context of the agent's nodes.
        case: the case to run.
        agent: whose prompt is replaced.
        text: the replacement.
        plan: the plan that the worker works from. The manager makes its own plan, and the case of
            an evaluator contains one.

    Returns:
        The result. RunError and a timeout are results as well; they are not raised.
    """
    overridden = replace(context, prompts=OverriddenPrompts(context.prompts, agent, text))
    try:
        async with asyncio.timeout(TRIAL_SECONDS):
            if agent == "evaluator":
                return await _run_evaluator(overridden, case)
            if agent == "manager":
                return await _run_manager(overridden, case)
            state = await _run(overridden, case, worker, evaluator, plan=plan)
            return replace(_result(state), tokens=_tokens(state["usage"]["worker"]))
    except RunError as error:
        return _failed(error.outcome, plan, str(error))
    except TimeoutError:
        return _failed("infrastructure", plan, "it took too long")


async def _run_manager(context: Context, case: Case) -> CaseResult:
    """Run all three agents; evaluate by the examples of the request, not by those of the plan.

    A manager that could add requirements and examples to what it is evaluated by would be rewarded
    for plans that ask for little.
    """
    state = await _run(context, case, manager, worker)
    stated = [example for example in state["plan"]["examples"] if example["origin"] == "stated"]
    plan = {**state["plan"], "title": "", "requirements": [], "examples": stated}
    result = _result(await _run(context, case, evaluator, plan=plan, code=state["code"]))
    tokens = _tokens(state["usage"]["manager"])
    return replace(result, details={**result.details, "plan": state["plan"]}, tokens=tokens)


async def _run_evaluator(context: Context, case: Case) -> CaseResult:
    """Have the judge score a program whose score is known; it passes within the tolerance."""
    prompt = await context.prompts.released("evaluator")
    message = judge_message(case["request"], case["plan"], case["code"])
    answer = await opinion(context.evaluator.model, prompt.text, message)
    error = abs(answer.content.score - case["mark"])
    passed = error <= TOLERANCE
    details = {"judge": answer.content.score}
    tokens = _tokens(answer.usage)
    return CaseResult("ok" if passed else "failed", passed, 1 - error, True, details, tokens)


def _tokens(usage: Usage) -> int | None:
    """Return the tokens of one call; None where the provider reports none."""
    tokens = usage["input_tokens"] + usage["output_tokens"]
    return round(tokens / usage["calls"]) or None if usage["calls"] else None


def _result(state: dict[str, Any]) -> CaseResult:
    evaluation = state["evaluation"]
    return CaseResult(
        outcome="ok" if evaluation["passed"] else "failed",
        passed=evaluation["passed"],
        score=evaluation["score"],
        executed=evaluation["execution"]["status"] != "not_run",
        details={name: state.get(name) for name in ("plan", "code", "evaluation")},
    )


def _failed(outcome: str, plan: Mapping[str, Any] | None, message: str) -> CaseResult:
    details = {"plan": plan, "message": message}
    return CaseResult(outcome, passed=False, score=0.0, executed=False, details=details)


async def _run(context: Context, case: Case, *nodes: Node, **known: Any) -> dict[str, Any]:
    """Run nodes of the agent one after another and return the final state.

    They are not compiled to a graph: inside a node of a graph that is being resumed, LangGraph
    would take it for a subgraph and resume that too.
    """
    state: dict[str, Any] = {"request": case["request"], "examples": case["examples"], **known}
    for node in nodes:
        merge(
            state,
            await node(cast("State", state), Runtime(context=InvocationContext(context=context))),
        )
    return state
