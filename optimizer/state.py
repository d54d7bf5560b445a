"""What goes into the optimizer graph, what its nodes share, and what comes out: plain JSON."""

from collections.abc import Mapping
from typing import Any, Final, Literal, NotRequired

from typing_extensions import TypedDict  # pydantic wants this one below Python 3.12

from selfheal.db.types import Agent, Origin
from selfheal.graph.state import Example

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


EARLIER: Final[tuple[Origin, ...]] = ("proven", "last_good", "predecessor")
"""The origins of versions that were live before: no lint reads them, and they win a tie."""
WRITTEN: Final[tuple[Origin, ...]] = ("writer", "gepa")
"""The origins of texts that a model wrote: lint reads them, and a writer hears of their fate."""
DIET: Final = "diet"  # what sets off a healing that is to shorten a prompt, and not to better it


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
    """One request that candidates are tried on, with the plan that all arms share, if known.

    A case of the evaluator is a program too: `code`, the mark that it deserves from 0 to 1, and
    its kind.
    """

    id: str
    source: Literal["production", "golden"]
    request: str
    examples: list[Example]
    plan: NotRequired[dict[str, Any]]
    code: NotRequired[str]
    mark: NotRequired[float]
    kind: NotRequired[str]


class Split(TypedDict):
    """Who may see what: train is shown to the diagnostician, the others never are.

    `looks`: how many earlier gates looked at a hold-out case, those never looked at left out.
    `pinned`: ids of the cases in hold-out and regression that earlier healings healed.
    """

    train: list[Case]
    hold_out: list[Case]
    regression: list[Case]
    fingerprint: str
    looks: dict[str, int]
    pinned: list[str]


class Evidence(TypedDict):
    """What the diagnostician sees of one run: `judge` is the judge's score, null if unasked.

    Of a program that a judge was tried on, `deserved` is the score of a sound judge.
    """

    run_id: str
    request: str
    plan: dict[str, Any] | None
    code: str
    outcome: str
    checks: list[dict[str, Any]]
    judge: float | None
    deserved: NotRequired[float]
    reasons: list[str]


class Findings(TypedDict):
    """The diagnosis, with run ids that exist; `because` is why the blame was laid, on what."""

    patterns: list[dict[str, Any]]
    root_causes: list[str]
    blame: Agent
    suggestions: list[str]
    because: NotRequired[dict[str, Any]]


class Proposal(TypedDict):
    """A candidate and what has become of it so far; `fate` is empty while it is in the race.

    `without`: of a diet's, the places of the sentences that are left out, the least missed first.
    """

    ordinal: int
    round: int
    origin: Origin
    version: int | None
    text: str
    rationale: str
    fate: Literal["", "lint", "screen", "gate", "accepted"]
    reason: str
    without: NotRequired[list[int]]


class NewestError(TypedDict):
    """Why the newest run that no prompt is to blame for has no verdict."""

    run_id: str
    outcome: str
    message: str


class Unjudged(TypedDict):
    """How many of the trials asked for gave no verdict, and why the first of these gave none."""

    count: int
    of: int
    first: str


class Trigger(TypedDict):
    """What a pass is asked to look at; without an agent, whichever is to blame.

    A pass whose `trigger` is `diet` names the agent.
    """

    agent: NotRequired[Agent]
    trigger: NotRequired[str]
    forced: NotRequired[bool]


class State(Trigger):
    """What the nodes share while a pass lasts."""

    healing_id: NotRequired[str]
    outcome: NotRequired[Outcome]
    reason: NotRequired[str]
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
    judge: NotRequired[dict[str, Any]]
    opinions: NotRequired[dict[str, float | None]]
    evidence: NotRequired[list[Evidence]]
    split: NotRequired[Split]
    findings: NotRequired[Findings]
    round: NotRequired[int]
    proposals: NotRequired[list[Proposal]]
    anchor: NotRequired[str]
    screens: NotRequired[list[dict[str, Any]]]
    survivor: NotRequired[int | None]
    gates: NotRequired[list[dict[str, Any]]]
    planned: NotRequired[dict[str, Any]]
    to_version: NotRequired[int | None]


class Result(TypedDict):
    """How a pass ended; `healing_id` is missing where none had to be opened.

    `agent` is null where nobody in particular was asked about, and nobody was blamed. `errored`
    is there where a fault of the optimizer's own ended it.
    """

    agent: Agent | None
    outcome: Outcome
    reason: NotRequired[str]
    healing_id: NotRequired[str]
    to_version: NotRequired[int | None]
    errored: NotRequired[bool]


def on_diet(passing: Mapping[str, Any]) -> bool:
    """Tell whether a pass, or the healing of a receipt, is a diet."""
    return passing.get("trigger") == DIET
