"""Input, state and output of the agent graph.

Plain JSON values only, so that checkpoints stay readable for later versions.
"""

import operator
from typing import Annotated, Any, Final, Literal, NotRequired

from langgraph.types import Overwrite
from typing_extensions import TypedDict  # required by pydantic below Python 3.12

from selfheal.app.llm.usage import Usage


class Example(TypedDict):
    """A Python expression `call` with its result as a literal, or with its exception's name."""

    call: str
    returns: NotRequired[str]
    raises: NotRequired[str]


class PlannedExample(Example):
    """An example and its origin: a broken stated one is a veto, an inferred one costs score."""

    origin: Literal["stated", "inferred"]


class Plan(TypedDict):
    """The manager's plan of a program."""

    title: str
    requirements: list[str]
    signature: str
    examples: list[PlannedExample]


class Check(TypedDict):
    """The result of a rule: its score and its weight, both 0 to 1, and details."""

    name: str
    score: float
    weight: float
    detail: str


class ExecutionReport(TypedDict):
    """How the program ran: sandbox, status (`not_run` without a sandbox), details, seconds."""

    backend: str
    status: str
    detail: str
    seconds: float


class Evaluation(TypedDict):
    """The verdict. Scores are 0 to 1; `llm_score` is null if a check was a veto."""

    score: float
    rule_score: float
    llm_score: float | None
    passed: bool
    checks: list[Check]
    reasons: list[str]
    execution: ExecutionReport


class Request(TypedDict):
    """The input: a request in plain text, and examples that the code must satisfy."""

    request: str
    examples: NotRequired[list[Example]]


class State(Request):
    """The state of a run."""

    plan: NotRequired[Plan]
    code: NotRequired[str]
    explanation: NotRequired[str]
    evaluation: NotRequired[Evaluation]
    model: NotRequired[str]
    prompt_versions: Annotated[dict[str, int], operator.or_]
    usage: Annotated[dict[str, Usage], operator.or_]


MERGED: Final = ("prompt_versions", "usage")


def merge(state: dict[str, Any], update: dict[str, Any]) -> None:
    """Apply a node's update to a state, as the graph's channels do.

    For callers that follow a graph from outside, or run its nodes without a graph.
    """
    for key, value in update.items():
        plain = value.value if isinstance(value, Overwrite) else value
        if key in MERGED and not isinstance(value, Overwrite):
            state[key] = {**state.get(key, {}), **plain}
        else:
            state[key] = plain


class Result(TypedDict):
    """The output."""

    code: str
    explanation: str
    evaluation: Evaluation
    prompt_versions: dict[str, int]
