"""The manager: a request in, a plan out."""

import json
from collections.abc import Iterator
from typing import Any

from langgraph.runtime import Runtime
from langgraph.types import Overwrite
from pydantic import BaseModel, Field

from graph.context import Given, context_of
from graph.errors import under
from graph.expressions import is_expression, is_literal
from graph.fence import fence
from graph.sandbox.packages import Packages
from graph.state import Example, Plan, PlannedExample, State


class DraftExample(BaseModel):
    """An example of what the code must do."""

    call: str = Field(description="A Python expression that calls the code")
    returns: str = Field("", description="Its result as a Python literal; empty if it raises")
    raises: str = Field("", description="The exception's class name; empty if it returns")


class DraftPlan(BaseModel):
    """The plan of a program."""

    title: str = Field(description="The task in a few words")
    requirements: list[str] = Field(description="Short, testable sentences")
    signature: str = Field(description="The Python signature of what was asked for")
    examples: list[DraftExample] = Field(description="Calls with their certain results")


async def manager(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Refine the request into a plan under the released prompt."""
    context = context_of(runtime)
    prompt = await context.prompts.released("manager")
    with under("manager", prompt.version):
        answer = await context.model.fill(
            prompt.text, _message(state, context.evaluator.packages), DraftPlan, "manager"
        )
    return {
        "plan": _plan(answer.content, state.get("examples", [])),
        "model": answer.model,
        # Overwritten, not merged: on a thread's second run the first one's must not linger.
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
    """Join the draft with the stated examples, which come first and win over the inferred."""
    calls = {example["call"].strip() for example in stated}
    inferred = [each for each in _usable(draft.examples) if each["call"].strip() not in calls]
    return Plan(
        title=draft.title,
        requirements=draft.requirements,
        signature=draft.signature,
        examples=[*(_stated(example) for example in stated), *inferred[:8]],
    )


def _stated(example: Example) -> PlannedExample:
    return PlannedExample(**example, origin="stated")


def _usable(drafts: list[DraftExample]) -> Iterator[PlannedExample]:
    """Yield the inferred examples that can be executed and compared."""
    for draft in drafts:
        if not is_expression(draft.call):
            continue
        if draft.raises.isidentifier():
            yield PlannedExample(call=draft.call, raises=draft.raises, origin="inferred")
        elif is_literal(draft.returns):
            yield PlannedExample(call=draft.call, returns=draft.returns, origin="inferred")
