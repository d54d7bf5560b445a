"""What goes into the optimizer graph, what its nodes share, and what comes out.

Plain JSON throughout, so that a checkpoint stays readable when the code has changed. Several of
these parts are copied into the receipt as they are (optimizer/receipt/schema.py).
"""

from typing import Final, Literal, NotRequired

from typing_extensions import TypedDict  # pydantic wants this one below Python 3.12

from selfheal.db.reasons import Reason
from selfheal.db.types import Agent
from selfheal.optimizer.records.candidates import (
    EditReport,
    GateReport,
    Keeping,
    KeptCandidate,
    PlannedRelease,
    Proposal,
    ScreenReport,
    Unjudged,
)
from selfheal.optimizer.records.cases import EarlierVersion, Split, Version
from selfheal.optimizer.records.detection import Detection, NewestError
from selfheal.optimizer.records.diagnosis import Evidence, FailureRecord, Findings
from selfheal.optimizer.records.judge import JudgeFinding

Outcome = Literal[
    "healthy",
    "busy",
    "cooling_down",
    "paused",
    "not_the_prompt",
    "frozen",
    "rejected",
    "collecting",
    "needs_approval",
    "canary",
    "promoted",
]


SHORTENING: Final = "diet"  # the stored trigger of a healing that shortens a prompt


class Trigger(TypedDict):
    """The request of an optimizer pass; without an agent, the one identified as the cause.

    One whose `trigger` is `diet`, which shortens a prompt, names the agent.
    """

    agent: NotRequired[Agent]
    trigger: NotRequired[str]
    forced: NotRequired[bool]


class State(Trigger):
    """What the nodes share; every node returns the part that it sets."""

    healing_id: NotRequired[str]
    outcome: NotRequired[Outcome]
    reason: NotRequired[Reason]
    asked_about: NotRequired[Agent | None]
    blamed: NotRequired[bool]
    incumbents: NotRequired[dict[Agent, Version]]
    last_goods: NotRequired[dict[Agent, Version]]
    earlier: NotRequired[dict[Agent, list[EarlierVersion]]]
    tried: NotRequired[list[Agent]]
    incumbent: NotRequired[Version]
    last_good: NotRequired[Version | None]
    detection: NotRequired[Detection]
    failed_run_ids: NotRequired[list[str]]
    errors: NotRequired[int]
    newest_error: NotRequired[NewestError]
    unjudged: NotRequired[Unjudged]
    failures: NotRequired[list[FailureRecord]]
    judge: NotRequired[JudgeFinding]
    opinions: NotRequired[dict[str, float | None]]
    evidence: NotRequired[list[Evidence]]
    evidence_tenants: NotRequired[list[int]]
    split: NotRequired[Split]
    findings: NotRequired[Findings]
    round: NotRequired[int]
    proposals: NotRequired[list[Proposal]]
    anchor: NotRequired[str]
    screens: NotRequired[list[ScreenReport]]
    survivor: NotRequired[int | None]
    edit_tests: NotRequired[list[EditReport]]
    gates: NotRequired[list[GateReport]]
    cut_short: NotRequired[Reason]
    kept_candidate: NotRequired[KeptCandidate]
    keeping: NotRequired[list[Keeping]]
    planned: NotRequired[PlannedRelease]
    to_version: NotRequired[int | None]


class Ended(TypedDict):
    """How an optimizer pass ended; `healing_id` is missing where no healing was opened.

    `agent` is null where no agent was requested, and none was found to be the cause. `errored` is
    set where an error of the optimizer's own ended it.
    """

    agent: Agent | None
    outcome: Outcome
    healing_id: NotRequired[str]
    to_version: NotRequired[int | None]
    errored: NotRequired[bool]


class Result(Ended):
    """How an optimizer pass ended, and why."""

    reason: NotRequired[Reason]


class ShownResult(Ended):
    """A result as clients get it: `reason` as text, and as the code that the text was made of."""

    reason: str
    coded_reason: Reason | None


def is_shortening(trigger: str | None) -> bool:
    """Tell whether a healing is to shorten a prompt, by what triggered it."""
    return trigger == SHORTENING
