"""What goes into the agent graph, what its nodes share, and what comes out.

Plain JSON values only: a checkpoint must stay readable when the code has moved on.
"""

import operator
from typing import Annotated, Any, Final, Literal, NotRequired

from langgraph.types import Overwrite
from typing_extensions import TypedDict  # pydantic wants this one below Python 3.12

from selfheal.app.llm.usage import Usage


class Example(TypedDict):
    """A Python expression with its result as a literal, or with its exception's name."""

    call: str
    returns: NotRequired[str]
    raises: NotRequired[str]


class PlannedExample(Example):
    """An example and where it comes from. A stated one decides; an inferred one only counts."""

    origin: Literal["stated", "inferred"]


class Plan(TypedDict):
    """What the manager made of the request."""

    title: str
    requirements: list[str]
    signature: str
    examples: list[PlannedExample]


class Check(TypedDict):
    """One rule of fact: score from 0 to 1, its share of the rule score, and what was seen."""

    name: str
    score: float
    weight: float
    detail: str


class ExecutionReport(TypedDict):
    """How the code ran: backend, status (`not_run` where no sandbox works), detail, seconds."""

    backend: str
    status: str
    detail: str
    seconds: float


class Evaluation(TypedDict):
    """The verdict. Scores from 0 to 1; `llm_score` is null where facts decided alone."""

    score: float
    rule_score: float
    llm_score: float | None
    passed: bool
    checks: list[Check]
    reasons: list[str]
    execution: ExecutionReport


class Request(TypedDict):
    """What a caller asks for: `request` in words, and examples that the code must satisfy."""

    request: str
    examples: NotRequired[list[Example]]


class State(Request):
    """What the nodes share while a run lasts."""

    plan: NotRequired[Plan]
    code: NotRequired[str]
    explanation: NotRequired[str]
    evaluation: NotRequired[Evaluation]
    model: NotRequired[str]
    prompt_versions: Annotated[dict[str, int], operator.or_]
    usage: Annotated[dict[str, Usage], operator.or_]


MERGED: Final = ("prompt_versions", "usage")


def merge(state: dict[str, Any], update: dict[str, Any]) -> None:
    """Put a node's update into a state, as the graph's own channels do.

    For those who follow a graph from outside, or run its nodes by themselves.
    """
    for key, value in update.items():
        plain = value.value if isinstance(value, Overwrite) else value
        if key in MERGED and not isinstance(value, Overwrite):
            state[key] = {**state.get(key, {}), **plain}
        else:
            state[key] = plain


class Result(TypedDict):
    """What a caller gets."""

    code: str
    explanation: str
    evaluation: Evaluation
    prompt_versions: dict[str, int]
