"""What is known of a candidate: screening, test of edits, gate, release, and whether it is kept."""

from typing import Literal, NotRequired

from typing_extensions import TypedDict  # pydantic wants this one below Python 3.12

from selfheal.db.reasons import Reason
from selfheal.db.types import Origin
from selfheal.optimizer.records.cases import Count

Verdict = Literal["accepted", "rejected", "undecided"]
Fate = Literal["", "lint", "screen", "edits", "gate", "accepted"]
EditVerdict = Literal["needed", "not_needed", "undecided"]
ReleaseAction = Literal["release", "canary", "stage"]


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
    or which have a good record, contain. `cases`: ids of the cases that edits were tried on.
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


class Unjudged(TypedDict):
    """Trials without a verdict: their number, and how the first of them ended."""

    count: int
    of: int
    first: str
