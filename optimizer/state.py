"""What goes into the optimizer graph, what its nodes share, and what comes out.

Plain JSON throughout, so that a checkpoint stays readable when the code has changed. Several of
these parts are copied into the receipt as they are (optimizer/receipt/schema.py).
"""

from typing import Final, Literal, NotRequired, TypeAlias

from typing_extensions import TypedDict  # pydantic wants this one below Python 3.12

from selfheal.db.reasons import Reason
from selfheal.db.types import Agent, Origin
from selfheal.graph.state import Example, Plan

Outcome = Literal[
    "healthy",
    "busy",
    "cooling_down",
    "paused",
    "not_the_prompt",
    "frozen",
    "rejected",
    "needs_approval",
    "canary",
    "promoted",
]
Verdict = Literal["accepted", "rejected", "undecided"]
Fate = Literal["", "lint", "screen", "edits", "gate", "accepted"]
EditVerdict = Literal["needed", "not_needed", "undecided"]
ReleaseAction = Literal["release", "canary", "stage"]

Count: TypeAlias = tuple[int, int]
"""So many, of so many. A list of two after a checkpoint or a receipt was read back."""

PREVIOUSLY_LIVE: Final[tuple[Origin, ...]] = ("proven", "last_good", "predecessor")
"""The origins of versions that were live before: lint does not read them, and they win a tie."""
GENERATED: Final[tuple[Origin, ...]] = ("writer", "gepa")
"""The origins of texts that a model wrote: lint reads them, and a proposer learns their fate."""
SHORTENING: Final = "diet"  # the stored trigger of a healing that shortens a prompt


class Version(TypedDict):
    """A prompt version."""

    version: int
    text: str


class EarlierVersion(Version):
    """A version that was live before the incumbent, and why it is the first to be tried.

    `origin`: `proven` where an earlier healing proved it better than this incumbent, `last_good`
    where its runs passed, `predecessor` where it is only what the incumbent replaced.
    """

    origin: Origin


class Case(TypedDict):
    """One request that candidates are tried on, with the plan that both prompts share, if known.

    A case of the evaluator also has a program: `code`, the mark that it deserves from 0 to 1, and
    its kind.
    """

    id: str
    source: Literal["production", "golden"]
    request: str
    examples: list[Example]
    plan: NotRequired[Plan]
    code: NotRequired[str]
    mark: NotRequired[float]
    kind: NotRequired[str]


class Split(TypedDict):
    """The cases, divided: the diagnosis sees training cases, and neither of the other sets.

    `looks`: how many earlier gates used a held-out case; those never used are left out.
    `pinned`: ids of the cases in hold-out and regression that earlier healings healed.
    """

    train: list[Case]
    hold_out: list[Case]
    regression: list[Case]
    fingerprint: str
    looks: dict[str, int]
    pinned: list[str]


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


class AttributionEvidence(TypedDict):
    """The evidence of an attribution.

    `diagnosed`: the agent that the diagnosis names. `judge_low`: the judge agrees on clearly too
    few golden verdicts. `judged`: failed runs in which no rule forbade a pass, so that the judge's
    marks decided. `plans`: runs whose plan contradicts the request, though the worker followed it.
    `revertible`: agents whose last good version is known, and is not live. `reverted`: training
    cases that pass with an agent's last good version. `rejected`: agents for whose live version a
    recent healing found no better one.
    """

    diagnosed: Agent
    judge_low: bool
    judged: Count
    plans: Count
    revertible: list[Agent]
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


class SoundCheck(TypedDict):
    """An earlier check that the judge passed."""

    model: str
    prompt_version: int
    agreed: int
    asked: int


class JudgeFinding(TypedDict):
    """The result of a check of the judge.

    `usual`: its record, as (agreed, asked); null without one. `drifted`: it agrees on fewer than
    its record explains. `low`: it has no record, and agrees on fewer than any judge should.
    `sound_version`: the newest other evaluator prompt under which this model passed a check, if it
    never did under the present one. `check`: the id of its stored check; 0 before it is stored.
    `fresh`: it passed a check on the same day and was not asked again. `compared`: the newest
    checks that it passed, newest first.
    """

    model: str
    prompt_version: int
    asked: int
    agreed: int
    usual: Count | None
    drifted: bool
    low: bool
    sound_version: int | None
    check: int
    fresh: bool
    compared: list[SoundCheck]


class Proposal(TypedDict):
    """A candidate and what has become of it so far; `fate` is empty until it is decided.

    `reason`: why it has this fate; null while it has none. `without`: when a prompt is shortened,
    the places of the sentences that are left out, the least needed first.
    """

    ordinal: int
    round: int
    origin: Origin
    version: int | None
    text: str
    rationale: str
    fate: Fate
    reason: Reason | None
    without: NotRequired[list[int]]


class ScreenResult(TypedDict):
    """How many training cases a candidate passed, and its mean score, 0 to 1."""

    ordinal: int
    passed: int
    of: int
    score: float


class Screening(TypedDict):
    """The result of a screening; `bar`: the least share of cases that the survivor must pass."""

    bar: float
    results: list[ScreenResult]
    survivor: int | None


class ScreenReport(Screening):
    """The screening of a round."""

    round: int


class EditProof(TypedDict):
    """Whether a case misses an edit of a candidate, by trials without it.

    `edit`: the added phrase, or the dropped sentence. `failed`, `of`: trials of the case without
    the edit.
    """

    edit: str
    added: bool
    case_id: str
    failed: int
    of: int
    e_value: float
    verdict: EditVerdict


class EditReport(TypedDict):
    """The test of a candidate's edits.

    `ordinal`: of the candidate. `exempt`: its sentences that other versions, which a person wrote
    or which have a good record, contain. `cases`: the training cases that edits were tried on.
    `slip`: how often they fail though nothing is missing, 0 to 1. `edits`: how many there are.
    `arms`: how many texts were tried. `removed`: added phrases that no case calls for. `restored`:
    dropped sentences that no case needs to be dropped. `doubted`: phrases that remain, of
    which a model says that the failures do not call for them. `reduced`: the ordinal of the text
    that is left; null where nothing changed, or nothing is left. `held`: why it has to be approved.
    `reason`: why it was rejected.
    """

    ordinal: int
    exempt: list[str]
    cases: list[str]
    slip: float
    edits: int
    arms: int
    proofs: list[EditProof]
    removed: list[str]
    restored: list[str]
    doubted: list[str]
    reduced: int | None
    held: Reason | None
    reason: Reason | None


class PairResult(TypedDict):
    """One case under both prompts, and the e-value after it.

    `repeats`: of a case healed before that the candidate failed, whether it passed when it was run
    again; null where that gave no verdict.
    """

    case_id: str
    hold_out: bool
    incumbent_passed: bool
    candidate_passed: bool
    repeats: list[bool | None]
    e_value: float


class GateReport(TypedDict):
    """The result of a candidate's gate.

    `difference` is the mean paired difference of scores, -1 to 1, `lower` its one-sided bound, null
    if unknown. `width`: how many cases ran at once. `cases_run`: those without a verdict included.
    """

    ordinal: int
    budget_spent: bool
    verdict: Verdict
    reason: Reason
    pairs: int
    gains: int
    losses: int
    e_value: float
    difference: float
    lower: float | None
    incumbent_rate: float
    candidate_rate: float
    width: int
    cases_run: int
    stopped: Reason
    pair_results: list[PairResult]


class PlannedRelease(TypedDict):
    """The decision about a candidate that the gate did not reject.

    `rollout`: the setting at that time. `void`: why the release was not made; null if it was.
    """

    rollout: str
    action: ReleaseAction
    reason: Reason
    void: Reason | None


class NewestError(TypedDict):
    """The newest run without a verdict for a reason that no prompt can fix."""

    run_id: str
    outcome: str
    message: str


class Unjudged(TypedDict):
    """Trials without a verdict: their number, and how the first of them ended."""

    count: int
    of: int
    first: str


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
    failed_run_ids: NotRequired[list[str]]
    errors: NotRequired[int]
    newest_error: NotRequired[NewestError]
    unjudged: NotRequired[Unjudged]
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
