"""What failed, what rules and the diagnosis find of it, and whose prompt is the cause."""

from typing import Literal, NotRequired

from typing_extensions import TypedDict  # pydantic wants this one below Python 3.12

from selfheal.db.reasons import Reason
from selfheal.db.types import Agent
from selfheal.graph.state import Plan
from selfheal.optimizer.records.cases import Count


class ShownCheck(TypedDict):
    """One rule's result as the diagnosis sees it; `score` from 0 to 1."""

    name: str
    score: float
    detail: str


class Evidence(TypedDict):
    """What the diagnosis sees of one run; `judge` is the judge's score, null if it gave none.

    For a case of the evaluator, `deserved` is the score that the program should get.
    """

    run_id: str
    request: str
    plan: Plan | None
    code: str
    outcome: str
    checks: list[ShownCheck]
    judge: float | None
    deserved: NotRequired[float]
    reasons: list[str]


class Pattern(TypedDict):
    """A failure pattern, and the ids of the runs that show it."""

    description: str
    run_ids: list[str]


FailureCause = Literal[
    "plan_unusable",
    "answer_unusable",
    "plan_contradicts",
    "plan_omits",
    "plan_ignored",
    "unclear",
]
"""What rules see of the cause of a failed run: optimizer/policy/failure_causes.py."""


class FailureRecord(TypedDict):
    """What rules see of one failed run; nothing of what was asked or answered.

    `judged`: no check forbade a pass, so that the judge's marks decided.
    """

    run_id: str
    cause: FailureCause
    judged: bool


class AttributionEvidence(TypedDict):
    """The evidence of an attribution.

    `diagnosed`: the agent that the diagnosis names. `causes`: how many of all failed runs have
    which cause. `revertible`: agents whose last good version is known, and is not live.
    `replaceable`: other agents with an earlier version, of which too little is known to call it
    good. `reverted`: trials of training cases that pass with an agent's last good or earlier
    version. `rejected`: agents for whose live version a recent healing found no better one.
    """

    diagnosed: Agent
    causes: dict[FailureCause, int]
    revertible: list[Agent]
    replaceable: list[Agent]
    reverted: dict[Agent, Count]
    rejected: list[Agent]


class AttributionRecord(TypedDict):
    """Why an agent's prompt was found to be the cause."""

    reason: Reason
    evidence: AttributionEvidence


class DroppedFinding(TypedDict):
    """A finding that the proposer is not given, and why."""

    text: str
    reason: Reason


class Findings(TypedDict):
    """The diagnosis, with run ids that exist; `attribution` once it was decided by tests.

    `dropped`: the root causes and suggestions that are not given to the proposer.
    """

    patterns: list[Pattern]
    root_causes: list[str]
    blame: Agent
    suggestions: list[str]
    dropped: list[DroppedFinding]
    attribution: NotRequired[AttributionRecord]
