"""Judge drift, simulated: what is flagged, when, and what is not."""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from statistics import median
from typing import NamedTuple

import pytest

from selfheal.db.types import Agent
from selfheal.optimizer.dataset.golden_verdicts import TOLERANCE, golden_verdicts, part_of_verdict
from selfheal.optimizer.policy import judge_drift
from selfheal.optimizer.policy.judge_drift import (
    ANCHOR_CHECKS,
    PARTS,
    FullCheck,
    after_part,
    consequence,
    lifts_flag,
    must_ask,
    pooled,
    raises_flag,
    total,
)
from selfheal.optimizer.records.cases import Count
from selfheal.optimizer.records.judge import JudgeFinding, JudgeFlag, SoundCheck

DAYS = 60
START = datetime(2026, 1, 1, tzinfo=UTC)
VERDICTS = sorted(golden_verdicts(), key=lambda each: part_of_verdict(each.id))
THIRD = len(VERDICTS) // PARTS
MARKS = [each.mark for each in VERDICTS]

Judge = Callable[[int, int], bool]
"""Whether a judge agrees on a golden verdict, by the day and the place of the verdict."""


@pytest.fixture(autouse=True, scope="module")
def _figures_once() -> object:
    """Compute each p-value once: a simulation asks for the same few thousand."""
    patch = pytest.MonkeyPatch()
    patch.setattr(judge_drift, "p_value", lru_cache(maxsize=None)(judge_drift.p_value))
    yield
    patch.undo()


class Course(NamedTuple):
    """What came of a judge: the days on which its flag was raised and lifted; what was asked."""

    raised: list[int]
    lifted: list[int]
    asked: int


def course(judge: Judge, days: int = DAYS) -> Course:
    """Check a judge daily, as the service does, with the product's own rules."""
    anchor: list[SoundCheck] = []
    full: list[FullCheck] = []
    raised, lifted, asked, flagged = list[int](), list[int](), 0, False
    for day in range(days):
        known, parts = pooled(anchor), list[Count]()
        for turn in range(PARTS):
            first = (day + turn) % PARTS * THIRD
            parts.append((sum(judge(day, first + each) for each in range(THIRD)), THIRD))
            if after_part(tuple(parts), known) != "continue" and not flagged:
                break
        agreed, of = total(parts)
        asked += of
        if flagged:
            full.insert(0, FullCheck(agreed, of, START + timedelta(days=day)))
            if lifts_flag(full, known):
                flagged = False
                lifted.append(day)
        elif after_part(tuple(parts), known) == "flagged":
            flagged, full = True, []
            raised.append(day)
        elif len(anchor) < ANCHOR_CHECKS:
            anchor.append(
                SoundCheck(check=day, model="m", prompt_version=1, agreed=agreed, asked=of)
            )
    return Course(raised, lifted, asked)


def courses(runs: int, judge: Callable[[random.Random], Judge], days: int = DAYS) -> list[Course]:
    return [course(judge(random.Random(seed)), days) for seed in range(runs)]


def at_rate(rate: Callable[[int], float]) -> Callable[[random.Random], Judge]:
    """Return judges that agree at a rate that depends on the day."""
    return lambda luck: lambda day, _: luck.random() < rate(day)


def with_bias(step: float, sigma: float) -> Callable[[random.Random], Judge]:
    """Return judges whose scores rise by `step` a day, with noise: what a drifting model does."""

    def judges(luck: random.Random) -> Judge:
        def agrees(day: int, place: int) -> bool:
            score = MARKS[place] + step * day + (luck.gauss(0, sigma) if sigma else 0)
            return abs(min(max(score, 0.0), 1.0) - MARKS[place]) <= TOLERANCE + 1e-9

        return agrees

    return judges


@pytest.mark.parametrize("rate", [0.85, 0.93, 0.99])
def test_a_sound_judge_is_not_flagged(rate: float) -> None:
    """At most 1 of 100 runs of 60 days; here 0 of 100."""
    found = courses(100, at_rate(lambda _: rate))
    assert sum(bool(each.raised) for each in found) <= 1
    assert median(each.asked for each in found) <= 1.1 * DAYS * THIRD


@pytest.mark.parametrize(("step", "latest"), [(0.01, 31), (0.02, 21)])
@pytest.mark.parametrize("rate", [0.85, 0.93, 1.0])
def test_agreement_that_creeps_down_is_flagged_for_good(
    rate: float, step: float, latest: int
) -> None:
    found = courses(40, at_rate(lambda day: max(rate - step * day, 0)))
    assert all(each.raised for each in found)
    assert max(each.raised[-1] for each in found) <= latest
    assert all(len(each.lifted) < len(each.raised) for each in found)


@pytest.mark.parametrize(
    ("step", "sigma", "typical", "latest"),
    [(0.01, 0.05, 16, 19), (0.01, 0.0, 22, 22), (0.01, 0.15, 25, 31), (0.02, 0.1, 12, 15)],
)
def test_scores_that_creep_up_are_flagged_for_good(
    step: float, sigma: float, typical: float, latest: int
) -> None:
    found = courses(20, with_bias(step, sigma))
    assert median(each.raised[0] for each in found) <= typical
    assert max(each.raised[0] for each in found) <= latest
    assert not any(each.lifted for each in found)


@pytest.mark.parametrize(("before", "after"), [(1, 0.45), (3, 0.6), (10, 0.7), (30, 0.7)])
def test_a_sudden_drift_is_flagged_on_its_day_or_the_next(before: int, after: float) -> None:
    found = courses(60, at_rate(lambda day: 0.95 if day < before else after), before + 4)
    assert all(each.raised and each.raised[0] >= before for each in found)
    assert median(each.raised[0] for each in found) == before


def test_later_checks_do_not_move_the_anchor() -> None:
    """Pooled over its newest checks, this judge took its reference along for 54 days."""
    slowly = courses(20, at_rate(lambda day: 0.98 - 0.005 * day), 100)
    assert all(each.raised for each in slowly)
    assert max(each.raised[0] for each in slowly) <= 60


@pytest.mark.parametrize("rate", [0.85, 0.93, 1.0])
def test_a_judge_that_is_sound_again_thaws(rate: float) -> None:
    found = courses(60, at_rate(lambda day: 0.4 if 15 <= day < 20 else rate), 40)
    assert all(each.lifted for each in found)
    thawed = [each.lifted[0] - 20 + 1 for each in found]  # the second sound day at the earliest
    assert (min(thawed), median(thawed)) == (2, 2)
    assert max(thawed) <= 10


def test_two_full_checks_of_one_day_do_not_lift_a_flag() -> None:
    anchor = (380, 390)
    sound = [FullCheck(115, 117, START + timedelta(hours=hours)) for hours in (30, 29, 5)]
    assert not lifts_flag([], anchor)
    assert not lifts_flag(sound[:2], anchor)
    assert lifts_flag(sound, anchor)
    relapse = FullCheck(70, 117, START + timedelta(hours=20))
    assert not lifts_flag([sound[0], relapse, sound[2]], anchor)


def test_a_few_checks_are_a_weaker_anchor_than_many() -> None:
    """39 of 39 once may be luck: what flags against 390 of 390 does not flag against it."""
    assert raises_flag((100, 117), (390, 390), complete=True)
    assert not raises_flag((100, 117), (39, 39), complete=True)


@pytest.mark.parametrize("anchor", [None, (200, 390), (39, 39)])
def test_no_judge_is_expected_to_agree_on_less_than_the_floor(anchor: Count | None) -> None:
    assert raises_flag((70, 117), anchor, complete=True)
    assert not raises_flag((88, 117), anchor and (88 * 3, 117 * 3), complete=True)
    assert after_part([(9, 39)], anchor) == "flagged"
    assert after_part([(30, 39)], None) == "sound"


def test_a_check_asks_thirds_until_it_is_clear() -> None:
    anchor = (370, 390)
    assert after_part([(37, 39)], anchor) == "sound"
    assert after_part([(31, 39)], anchor) == "continue"
    assert after_part([(31, 39), (38, 39)], anchor) == "sound"
    assert after_part([(30, 39), (28, 39)], anchor) == "flagged"
    assert after_part([(32, 39), (33, 39)], anchor) == "continue"
    assert after_part([(32, 39), (33, 39), (37, 39)], anchor) == "sound"


def finding(*, flag: str = "", sound_version: int | None = None) -> JudgeFinding:
    usual = (380, 390) if flag == "drifted" else None
    return JudgeFinding(
        model="m",
        prompt_version=2,
        asked=39,
        agreed=20,
        usual=usual,
        compared=[],
        parts=[],
        flag=JudgeFlag(id=1, check=1, agreed=20, asked=39, complete=False, usual=usual)
        if flag
        else None,
        drifted=flag == "drifted",
        low=flag == "low",
        sound_version=sound_version,
        check=1,
        fresh=False,
    )


@pytest.mark.parametrize("requested", [None, "manager", "worker", "evaluator"])
@pytest.mark.parametrize("marks", [(0, 0), (0, 5), (2, 5), (5, 5)])
def test_nothing_is_healed_by_a_flagged_judge(requested: Agent | None, marks: Count) -> None:
    for flag in ("drifted", "low"):
        for sound_version in (None, 1):
            judge = finding(flag=flag, sound_version=sound_version)
            assert consequence(judge, marks, requested) != "heal"
            assert consequence(judge, marks, requested, shortening=True) == "freeze"
            if requested in ("manager", "worker"):
                assert consequence(judge, marks, requested) == "freeze"
    assert consequence(finding(), marks, requested) == "heal"


@pytest.mark.parametrize(
    ("flag", "sound_version", "marks", "due"),
    [
        ("drifted", None, (5, 5), "freeze"),  # the model has changed
        ("drifted", 1, (0, 5), "heal_evaluator"),  # the prompt has
        ("low", None, (3, 5), "heal_evaluator"),
        ("low", None, (2, 5), "freeze"),
        ("low", None, (0, 0), "heal_evaluator"),
    ],
)
def test_the_evaluators_prompt_is_healed_where_it_is_the_cause(
    flag: str, sound_version: int | None, marks: Count, due: str
) -> None:
    assert consequence(finding(flag=flag, sound_version=sound_version), marks, None) == due


@pytest.mark.parametrize(
    ("marks", "requested", "shortening", "recorded", "due"),
    [
        ((0, 5), None, False, False, False),  # checks forbade a pass each time
        ((1, 5), None, False, False, True),
        ((0, 0), None, False, False, True),  # forced: nothing failed
        ((0, 5), "worker", False, False, False),
        ((0, 5), "evaluator", False, False, True),
        ((0, 5), None, True, False, True),
        ((0, 5), None, False, True, True),  # its record is not renewed daily
    ],
)
def test_the_judge_is_asked_where_a_decision_depends_on_it(
    marks: Count, requested: Agent | None, shortening: bool, recorded: bool, due: bool
) -> None:
    asked = must_ask(marks=marks, requested=requested, shortening=shortening, recorded=recorded)
    assert asked is due


def test_each_third_has_all_kinds() -> None:
    kinds: Sequence[set[str]] = [
        {each.kind for each in VERDICTS if part_of_verdict(each.id) == part}
        for part in range(PARTS)
    ]
    assert kinds[0] == kinds[1] == kinds[2]
    assert len(VERDICTS) == PARTS * THIRD
