"""Prompt versions, and the cases that they are tried on."""

from typing import Final, Literal, NotRequired, TypeAlias

from typing_extensions import TypedDict  # pydantic wants this one below Python 3.12

from selfheal.db.types import Origin
from selfheal.graph.state import Example, Plan

Count: TypeAlias = tuple[int, int]
"""So many, of so many. A list of two after a checkpoint or a receipt was read back."""
PREVIOUSLY_LIVE: Final[tuple[Origin, ...]] = ("proven", "last_good", "predecessor")
"""The origins of versions that were live before: lint does not read them, and they win a tie."""
GENERATED: Final[tuple[Origin, ...]] = ("writer", "gepa")
"""The origins of texts that a model wrote: lint reads them, and a proposer learns their fate."""


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
