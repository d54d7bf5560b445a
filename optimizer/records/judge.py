"""What is known of the judge: its checks, its anchor, its flag."""

from typing_extensions import TypedDict  # pydantic wants this one below Python 3.12

from selfheal.optimizer.records.cases import Count


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
