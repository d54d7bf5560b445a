"""The manager node: from request to plan."""

import json
from collections.abc import Iterator
from typing import Any

from langgraph.runtime import Runtime
from langgraph.types import Overwrite
from pydantic import BaseModel, Field

from selfheal.app.errors import OutputError, under
from selfheal.app.llm.untrusted import fence
from selfheal.graph.context import InvocationContext, context_of
from selfheal.graph.parsing.literals import LONGEST_TOGETHER, is_expression, is_literal
from selfheal.graph.sandbox.packages import Packages
from selfheal.graph.state import Example, Plan, PlannedExample, State

_MOST_REQUIREMENTS, _LONGEST_TEXT, _LONGEST_NAME = (
    100,
    2_000,
    200,
)  # the bounds of the worker's role


class DraftExample(BaseModel):
    """An example as the model writes it."""

    call: str = Field(description="A Python expression that calls the code")
    returns: str = Field("", description="Its result as a Python literal; empty if it raises")
    raises: str = Field("", description="The exception's class name; empty if it returns")


class DraftPlan(BaseModel):
    """A plan as the model writes it."""

    title: str = Field(description="The task in a few words")
    requirements: list[str] = Field(description="Short, testable sentences")
    signature: str = Field(description="The Python signature of what was asked for")
    examples: list[DraftExample] = Field(description="Calls with their certain results")


async def manager(state: State, runtime: Runtime[InvocationContext]) -> dict[str, Any]:
    """Make a plan of the request under the live prompt of the manager.

    Raises:
        OutputError: the plan is longer than a plan may be.
    """
    context = context_of(runtime)
    prompt = await context.prompts.released("manager")
    with under("manager", prompt.version):
        answer = await context.model.fill(
            prompt.text, _message(state, context.evaluator.packages), DraftPlan, "manager"
        )
    return {
        "plan": _plan(answer.content, state.get("examples", [])),
        "model": answer.model,
        # Overwritten, not merged: otherwise a thread's next run would keep those of the run before.
        "prompt_versions": Overwrite({"manager": prompt.version}),
        "usage": Overwrite({"manager": answer.usage}),
    }


def _message(state: State, packages: Packages) -> str:
    parts = ["Plan the program that this request asks for.", fence("request", state["request"])]
    if stated := state.get("examples"):
        parts += ["It states these examples:", fence("examples", json.dumps(stated))]
    parts.append(packages.described())
    return "\n\n".join(parts)


def _plan(draft: DraftPlan, stated: list[Example]) -> Plan:
    """Combine the draft with the stated examples, which replace inferred ones of the same call.

    Raises:
        OutputError: the plan is longer than a plan may be.
    """
    if max(map(len, (draft.title, draft.signature, *draft.requirements))) > _LONGEST_TEXT:
        raise OutputError(f"the plan has a text of more than {_LONGEST_TEXT} characters")
    if len(draft.requirements) > _MOST_REQUIREMENTS:
        raise OutputError(f"the plan has more than {_MOST_REQUIREMENTS} requirements")
    calls = {example["call"].strip() for example in stated}
    room = LONGEST_TOGETHER - sum(map(_size, stated))
    inferred = [each for each in _usable(draft.examples, room) if each["call"].strip() not in calls]
    return Plan(
        title=draft.title,
        requirements=draft.requirements,
        signature=draft.signature,
        examples=[*(_stated(example) for example in stated), *inferred[:8]],
    )


def _stated(example: Example) -> PlannedExample:
    return PlannedExample(**example, origin="stated")


def _size(example: Example) -> int:
    return len(example["call"]) + len(example.get("returns", "")) + len(example.get("raises", ""))


def _usable(drafts: list[DraftExample], room: int) -> Iterator[PlannedExample]:
    """Yield the inferred examples that can be executed and compared.

    Args:
        drafts: inferred by the model, of any number and length.
        room: the number of characters that may be parsed.
    """
    for draft in drafts:
        size = len(draft.call) + len(draft.returns) + len(draft.raises)
        if size > room:
            continue
        room -= size
        if not is_expression(draft.call):
            continue
        if draft.raises.isidentifier() and len(draft.raises) <= _LONGEST_NAME:
            yield PlannedExample(call=draft.call, raises=draft.raises, origin="inferred")
        elif is_literal(draft.returns):
            yield PlannedExample(call=draft.call, returns=draft.returns, origin="inferred")
