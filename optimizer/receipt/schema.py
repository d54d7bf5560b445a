"""The receipt: the record of a healing from which every one of its decisions can be recomputed."""

from typing import Final, Literal, NotRequired, cast

from typing_extensions import TypedDict  # pydantic wants this one below Python 3.12

from selfheal.db.healings import Healing, Outcome
from selfheal.db.reasons import Reason
from selfheal.db.types import Agent, Stage
from selfheal.graph.state import Example
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
from selfheal.optimizer.records.cases import Version
from selfheal.optimizer.records.detection import Detection, NewestError
from selfheal.optimizer.records.diagnosis import Evidence, FailureRecord, Findings
from selfheal.optimizer.records.judge import JudgeFinding

SCHEMA_VERSION: Final = 1
"""Raised when a field is removed, renamed, or changes its meaning."""


class JudgeRecord(JudgeFinding):
    """What is known of the judge, with its score for each golden verdict that it was asked now.

    A score is null where the judge gave none.
    """

    opinions: dict[str, float | None]


class SplitRecord(TypedDict):
    """The ids of the cases of each set, with a hash of the division. See `Split`.

    `slices`: the slice of each held-out and regression case.
    """

    train: list[str]
    hold_out: list[str]
    regression: list[str]
    fingerprint: str
    looks: dict[str, int]
    pinned: list[str]
    slices: dict[str, str]
    aside: list[str]


class HealedCase(TypedDict):
    """A production case that must stay healed: later healings try it again."""

    id: str
    request: str
    examples: list[Example]


class CandidateRecord(Proposal):
    """A candidate, with its changes to the incumbent as a unified diff."""

    diff: str


class TrialRecord(TypedDict):
    """One case run once under one prompt; see `Trial`. `arm`: the candidate; 0, the incumbent."""

    stage: Stage
    arm: int
    case_id: str
    outcome: str
    passed: bool
    score: float
    executed: bool
    calls: int
    take: int
    tokens: int | None


class CostRecord(TypedDict):
    """The model calls and tokens of one state of the healing."""

    state: str
    payments: int
    calls: int
    input_tokens: int
    output_tokens: int


class Receipt(TypedDict):
    """All that was seen, tried, decided and done until the healing was closed.

    `schema_version`: of this document. `selfheal`: the version that wrote it. `gave_up`: an error
    or the budget ended it; the reason says which. `anchor`: the last prompt before the incumbent
    that a person wrote. `detection`: why it was opened; null where a prompt was to be shortened or
    a kept candidate was due. `evidence_tenants`: a number for the tenant of each run of the
    evidence. `kept_candidate`: what it began with, if an earlier healing kept it; `keeping`:
    whether one was kept for a later one. `cut_short`: why the second round ended early, where a
    gate had accepted a candidate before. Times are ISO 8601, `seconds` the time between them.
    Fields of a state that was not reached are null or empty.
    """

    schema_version: Literal[1]
    selfheal: str
    healing_id: str
    agent: Agent
    trigger: str
    asked_about: Agent | None
    outcome: Outcome
    reason: Reason
    gave_up: bool
    opened_at: str
    closed_at: str
    seconds: float
    from_version: int
    to_version: int | None
    incumbent: Version | None
    anchor: str | None
    detection: Detection | None
    failed_run_ids: list[str]
    errors_counted_out: int
    newest_error: NewestError | None
    failures: list[FailureRecord]
    judge: JudgeRecord | None
    evidence: list[Evidence]
    evidence_tenants: list[int]
    findings: Findings | None
    split: SplitRecord | None
    healed_cases: list[HealedCase]
    rounds: int
    candidates: list[CandidateRecord]
    screens: list[ScreenReport]
    edit_tests: list[EditReport]
    gates: list[GateReport]
    cut_short: Reason | None
    kept_candidate: NotRequired[KeptCandidate | None]
    keeping: NotRequired[list[Keeping]]
    release: PlannedRelease | None
    unjudged: Unjudged | None
    trials: list[TrialRecord]
    costs: list[CostRecord]
    model_calls: int
    input_tokens: int
    output_tokens: int


class NoReceiptError(Exception):
    """A healing has no receipt that this version can read; the message says why."""


def receipt_of(healing: Healing) -> Receipt:
    """Return a closed healing's receipt.

    What is in it is not checked here: verification does, and reports each part that does not fit.

    Raises:
        NoReceiptError: the healing is open, or its receipt has another schema version.
    """
    if healing.receipt is None:
        raise NoReceiptError(f"healing {healing.id} is in progress: {healing.state}")
    found = healing.receipt.get("schema_version")
    if found != SCHEMA_VERSION:
        raise NoReceiptError(
            f"the receipt of healing {healing.id} has schema version {found}, and this version of"
            f" selfheal reads {SCHEMA_VERSION}"
        )
    return cast("Receipt", healing.receipt)
