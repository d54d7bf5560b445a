"""What goes into the optimizer graph, what its nodes share, and what comes out: plain JSON."""

from typing import Any, Literal, NotRequired, TypedDict

from graph.state import Example

Outcome = Literal[
    "healthy",
    "busy",
    "cooling_down",
    "not_the_prompt",
    "frozen",
    "rejected",
    "needs_approval",
    "promoted",
]


class Version(TypedDict):
    """A prompt version."""

    version: int
    text: str


class Case(TypedDict):
    """One request that candidates are tried on, with the plan that all arms share, if known."""

    id: str
    source: Literal["production", "golden"]
    request: str
    examples: list[Example]
    plan: NotRequired[dict[str, Any]]


class Split(TypedDict):
    """Who may see what: train is shown to the diagnostician, the others never are.

    `looks`: how many earlier gates looked at a hold-out case, those never looked at left out.
    """

    train: list[Case]
    hold_out: list[Case]
    regression: list[Case]
    fingerprint: str
    looks: dict[str, int]


class Evidence(TypedDict):
    """What the diagnostician sees of one run."""

    run_id: str
    request: str
    code: str
    outcome: str
    checks: list[dict[str, Any]]
    reasons: list[str]


class Findings(TypedDict):
    """The diagnosis, with run ids that exist."""

    patterns: list[dict[str, Any]]
    root_causes: list[str]
    blame: str
    suggestions: list[str]


class Proposal(TypedDict):
    """A candidate and what has become of it so far; `fate` is empty while it is in the race."""

    ordinal: int
    round: int
    origin: Literal["last_good", "writer"]
    version: int | None
    text: str
    rationale: str
    fate: Literal["", "lint", "screen", "gate", "accepted"]
    reason: str


class Trigger(TypedDict):
    """What a pass is asked to look at."""

    agent: Literal["worker"]
    trigger: NotRequired[str]
    forced: NotRequired[bool]


class State(Trigger):
    """What the nodes share while a pass lasts."""

    healing_id: NotRequired[str]
    outcome: NotRequired[Outcome]
    reason: NotRequired[str]
    incumbent: NotRequired[Version]
    last_good: NotRequired[Version | None]
    failed_run_ids: NotRequired[list[str]]
    errors: NotRequired[int]
    judge: NotRequired[dict[str, Any]]
    evidence: NotRequired[list[Evidence]]
    split: NotRequired[Split]
    findings: NotRequired[Findings]
    round: NotRequired[int]
    proposals: NotRequired[list[Proposal]]
    survivor: NotRequired[int | None]
    gates: NotRequired[list[dict[str, Any]]]
    to_version: NotRequired[int | None]


class Result(TypedDict):
    """How a pass ended; `healing_id` is missing where none had to be opened."""

    agent: str
    outcome: Outcome
    reason: NotRequired[str]
    healing_id: NotRequired[str]
    to_version: NotRequired[int | None]
