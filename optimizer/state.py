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
    "collecting",
    "needs_approval",
    "canary",
    "promoted",
]
Verdict = Literal["accepted", "rejected", "undecided"]
Fate = Literal["", "lint", "screen", "edits", "gate", "accepted"]
EditVerdict = Literal["needed", "not_needed", "undecided"]
ReleaseAction = Literal["release", "canary", "stage"]
DetectionRule = Literal["no_pass", "release", "change", "surge", "none"]

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

    `kind`: its slice, `production` where no finer one is known. A case of the evaluator also has a
    program, `code`, and the mark that it deserves, from 0 to 1.
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
    `pinned`: ids of the cases in hold-out and regression that earlier healings healed. `aside`:
    golden cases on which edits are tested, beside the training cases.
    """

    train: list[Case]
    hold_out: list[Case]
    regression: list[Case]
    fingerprint: str
    looks: dict[str, int]
    pinned: list[str]
    aside: NotRequired[list[Case]]


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


class SoundCheck(TypedDict):
    """An earlier check that the judge passed; `check` is its id."""

    check: int
    model: str
    prompt_version: int
    agreed: int
    asked: int


class JudgePart(TypedDict):
    """The agreement on one third of the golden verdicts; `part` is its number, from 0."""

    part: int
    agreed: int
    asked: int


class JudgeFlag(TypedDict):
    """A flag that stands: the agreement that raised it, and the anchor it was compared with.

    `check`: the id of the check that raised it. `usual` is null where there was no anchor.
    `complete`: that check asked all golden verdicts.
    """

    id: int
    check: int
    agreed: int
    asked: int
    complete: bool
    usual: Count | None


class JudgeFinding(TypedDict):
    """What is known of the judge.

    `asked`, `agreed`: of its newest check, or of the one that raised its flag; 0 where it was not
    asked, since no decision depended on it. `usual`: its anchor, as (agreed, asked); null without
    one. `compared`: the checks of the anchor, oldest first. `parts`: the thirds that were asked
    now, in their order; empty if it was not asked now. `flag`: its flag. `drifted`: a flag stands,
    since it agrees on fewer than its anchor. `low`: a flag stands, and it has no anchor: it agrees
    on fewer than any judge should. `sound_version`: the newest other evaluator prompt under which
    this model passed a check, if it never did under the present one and has no flag there. `check`:
    the id of the stored check; 0 without one. `fresh`: it passed a check within 24 hours and was
    not asked again.
    """

    model: str
    prompt_version: int
    asked: int
    agreed: int
    usual: Count | None
    compared: list[SoundCheck]
    parts: list[JudgePart]
    flag: JudgeFlag | None
    drifted: bool
    low: bool
    sound_version: int | None
    check: int
    fresh: bool


class Proposal(TypedDict):
    """A candidate and what has become of it so far; `fate` is empty until it is decided.

    `round`: 0 for a candidate that goes to the gate before any is written. `reason`: why it has
    this fate; null while it has none. `without`: when a prompt is shortened,
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
    """How many trials on training cases a candidate passed, and its mean score, 0 to 1.

    `cases`: how many different cases these were. `out`: it is eliminated.
    """

    ordinal: int
    passed: int
    of: int
    cases: int
    score: float
    out: bool


class Screening(TypedDict):
    """The result of a screening; `bar`: the least share of trials that the survivor must pass."""

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


SliceFinding = Literal["kept", "lost", "nothing_to_lose", "unsettled"]


class SliceResult(TypedDict):
    """The pairs of a slice in a gate, and the e-value for losses.

    `finding`: `nothing_to_lose` where the incumbent hardly passes any, `unsettled` where there were
    too few cases, or no need to know.
    """

    name: str
    pairs: int
    gains: int
    losses: int
    incumbent_passed: int
    e_value: float
    finding: SliceFinding


class UsualTokens(TypedDict):
    """The tokens of an agent's own model call in the passed runs of a version.

    `runs`: how many were looked at; `tokens`: the geometric mean over them.
    """

    version: int
    runs: int
    tokens: float


class TokenUse(TypedDict):
    """The tokens of a candidate's own model call, beside those of an earlier version.

    `ratio`: null if too little is known. `compared`: how many pairs, or, beside the runs of the
    last good version, how many trials. `against`: whose tokens; null if unknown.
    """

    ratio: float | None
    compared: int
    against: Literal["incumbent", "last_good"] | None


class GateReport(TypedDict):
    """The result of a candidate's gate.

    `needed`: the e-value that accepts; higher beyond 60 held-out cases. `w_value`: the evidence
    that scores are not lower; null when a prompt is shortened. `difference` is the mean paired
    difference of scores, -1 to 1, `lower` its one-sided bound, null unless a prompt is shortened.
    `width`: how many cases ran at once. `cases_run`: those without a verdict included.
    `detectable`: the difference of pass rates that this number of held-out cases finds with 80 %
    probability; null if there is none, and when a prompt is shortened. `most_cases`: the setting at
    that time. `affordable`: how many held-out cases the budget covered when the first 60 had not
    decided; null if they had. `usual_tokens`: of the last good version's runs; null if unknown.
    """

    ordinal: int
    budget_spent: bool
    verdict: Verdict
    reason: Reason
    pairs: int
    gains: int
    losses: int
    e_value: float
    needed: float
    w_value: float | None
    difference: float
    lower: float | None
    incumbent_rate: float
    candidate_rate: float
    width: int
    cases_run: int
    detectable: float | None
    most_cases: int
    affordable: int | None
    slices: list[SliceResult]
    usual_tokens: UsualTokens | None
    tokens: TokenUse
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


class PassRecord(TypedDict):
    """How many runs of a version have a verdict, and how many of these passed."""

    agent: Agent
    version: int
    runs: int
    passed: int


class Detection(TypedDict):
    """What detection read, and why it opens a healing or does not.

    `rule`: `no_pass` where no run passed; `release` and `change` where runs fail more often than
    usual since the release, or since some later run; `surge` where much more fails than before the
    last healing, which released nothing; `none` where there is no more than usual (a healing may
    be forced). `outcomes`: of the runs that were read, oldest first, `1` passed and `0` failed;
    `runs` and `failures` count them. `recent`: how many failed within the failure window.
    `threshold`: the least number of failures. `usual`: the record of the last good version; null
    without one. `before`: how many of the runs that the last healing looked at failed, of how
    many; null unless the runs since that healing are compared with it. `usual_rate`: the failure
    rate that the e-value is against. `window`: the newest runs, from where the failures began.
    """

    rule: DetectionRule
    outcomes: str
    runs: int
    failures: int
    recent: int
    threshold: int
    usual: PassRecord | None
    before: Count | None
    usual_rate: float
    e_value: float
    window: int
    reason: Reason


class KeptCandidate(TypedDict):
    """A candidate that an earlier healing kept until there are cases to prove it on.

    `healing_id`, `ordinal`: the newest healing that kept it, and its number there. `since`: when it
    was first kept, ISO 8601. `tried_at`: when that newest healing was closed. `run_ids`: the failed
    runs of the first of these healings; `train`: ids of its training cases. `held_out`: ids of the
    production cases that its gates have used, with their `gains` and `losses`.
    """

    healing_id: str
    ordinal: int
    text: str
    since: str
    tried_at: str
    run_ids: list[str]
    train: list[str]
    held_out: list[str]
    gains: int
    losses: int


class Keeping(TypedDict):
    """Whether a candidate that the gate did not accept is kept, and why.

    `incumbent`: how many trials on the candidate's training cases the incumbent passed, of how
    many; null for a candidate that was kept before. `held_out`: see `KeptCandidate`.
    """

    ordinal: int
    kept: bool
    reason: Reason
    incumbent: Count | None
    held_out: list[str]


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
