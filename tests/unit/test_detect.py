"""When there is something to heal."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from selfheal.db.reasons import because
from selfheal.db.runs import Outcome, Run
from selfheal.optimizer.nodes.detect import failures
from selfheal.optimizer.policy.detection import (
    ENOUGH_RUNS,
    PastHealing,
    Record,
    Situation,
    cooling_down,
    decide,
    decide_shortening,
    last_good,
)
from selfheal.optimizer.state import Version

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Limits:
    failure_threshold: int = 3
    failure_window_minutes: int = 30
    heal_daily_calls: int = 2000


LIMITS = Limits()


def healing(closed: timedelta, *, errored: bool = False) -> PastHealing:
    """Return a healing that ended without a release so long ago."""
    return PastHealing(NOW - closed, errored)


def situation(
    failures: int = 0,
    *,
    passed: int = 0,
    errors: int = 0,
    record: dict[int, tuple[int, int]] | None = None,
    tried: tuple[PastHealing, ...] = (),
    ago: tuple[timedelta, ...] = (),
    calls_today: int = 0,
) -> Situation:
    """Return failures of a minute ago and some of others' age, beside runs that passed."""
    ended = (*(NOW - timedelta(minutes=1) for _ in range(failures)), *(NOW - each for each in ago))
    return Situation(
        runs=len(ended) + passed,
        failures=ended,
        errors=errors,
        records={"worker": records(record or {})},
        tried=tried,
        now=NOW,
        calls_today=calls_today,
    )


def records(counts: dict[int, tuple[int, int]]) -> dict[int, Record]:
    return {version: Record(*each) for version, each in counts.items()}


def run(outcome: Outcome) -> Run:
    return Run(
        id=uuid4(),
        thread_id=uuid4(),
        assistant="agent",
        status="success",
        outcome=outcome,
        message="",
        request="r",
        examples=[],
        plan=None,
        code=None,
        explanation=None,
        manager_version=1,
        worker_version=2,
        evaluator_version=1,
        model=None,
        model_calls=3,
        input_tokens=0,
        output_tokens=0,
        created_at=NOW,
        finished_at=NOW,
        evaluation=None,
    )


def outcome(seen: Situation, limits: Limits = LIMITS) -> str | None:
    decided = decide(seen, limits)
    return decided.outcome if decided else None


def test_below_the_threshold_all_is_well() -> None:
    assert outcome(situation()) == "healthy"
    assert outcome(situation(2)) == "healthy"
    assert outcome(situation(5), Limits(failure_threshold=6)) == "healthy"


def test_without_a_good_version_the_count_alone_decides() -> None:
    assert outcome(situation(3)) is None
    assert outcome(situation(3)) is None
    assert outcome(situation(3, passed=200)) is None


@pytest.mark.parametrize("record", [{1: (ENOUGH_RUNS - 1, ENOUGH_RUNS - 1)}, {1: (100, 79)}])
def test_a_version_with_little_or_a_bad_record_is_no_yardstick(
    record: dict[int, tuple[int, int]],
) -> None:
    assert outcome(situation(3, passed=97, record=record)) is None
    assert last_good(records(record), 2) is None


def test_no_more_failures_than_a_good_version_has_are_healthy() -> None:
    """10 % are usual: 12 of 100 are no surprise, 12 of 30 are."""
    usual = {1: (998, 899)}
    assert outcome(situation(12, passed=88, record=usual)) == ("healthy")
    assert outcome(situation(12, passed=18, record=usual)) is None


def test_the_live_versions_own_past_is_a_yardstick_too() -> None:
    own = {2: (998, 899)}
    assert outcome(situation(12, passed=88, record=own)) == "healthy"
    assert last_good(records(own), 2) is None
    assert last_good(records({1: (10, 9), 3: (10, 10), 2: (10, 10), 4: (10, 1)}), 2) == 3


def test_a_rejection_is_waited_out_an_hour_and_for_new_failures() -> None:
    early = situation(3, tried=(healing(timedelta(minutes=59)),))
    assert outcome(early) == "cooling_down"
    due = (NOW + timedelta(minutes=1)).isoformat()
    assert cooling_down(early, LIMITS) == because("cooling_down", until=due)
    late = situation(3, tried=(healing(timedelta(minutes=61)),))
    assert outcome(late) is None


def test_old_failures_do_not_end_a_cool_down() -> None:
    seen = situation(2, ago=(timedelta(minutes=90),), tried=(healing(timedelta(minutes=61)),))
    assert outcome(seen) == "cooling_down"
    assert cooling_down(seen, LIMITS) == because("few_new_failures", failures=2)


@pytest.mark.parametrize(
    ("rejections", "hours"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 24), (20, 24)]
)
def test_the_cool_down_doubles_to_a_day(rejections: int, hours: int) -> None:
    def after(wait: timedelta) -> str | None:
        tried = tuple(healing(wait + timedelta(days=n)) for n in range(rejections))
        return outcome(situation(3, tried=tried))

    assert after(timedelta(hours=hours, minutes=-1)) == "cooling_down"
    assert after(timedelta(hours=hours, minutes=1)) is None


def test_an_errored_healing_is_tried_again_after_ten_minutes() -> None:
    def after(minutes: int) -> str | None:
        tried = (healing(timedelta(minutes=minutes), errored=True),)
        return outcome(situation(3, tried=tried))

    assert after(9) == "cooling_down"
    assert after(11) is None


def test_errors_do_not_lengthen_the_cool_down_after_a_rejection() -> None:
    tried = (
        healing(timedelta(minutes=61)),
        *(healing(timedelta(hours=n), errored=True) for n in (2, 3, 4)),
    )
    assert outcome(situation(3, tried=tried)) is None


def test_errors_alone_go_to_triage() -> None:
    """Triage then ends as `not_the_prompt`, which is reported."""
    assert outcome(situation(errors=3)) is None
    assert outcome(situation(1, errors=2)) is None
    assert outcome(situation(errors=2)) == "healthy"


def test_runs_without_a_verdict_are_no_failures() -> None:
    outcomes: tuple[Outcome, ...] = ("infrastructure", "model", "evaluation", "failed", "ok")
    assert [each.outcome for each in failures(map(run, outcomes))] == ["failed"]


def test_no_healing_is_opened_without_a_budget() -> None:
    spent = because("daily_budget_exhausted", calls=2000)
    assert decide(situation(9, calls_today=2000), LIMITS) == ("cooling_down", spent)
    assert outcome(situation(9, calls_today=1999)) is None


def test_what_is_not_shortened() -> None:
    def refused(text: str, *, shortened: bool = False, calls: int = 0) -> str | None:
        live = Version(version=4, text=text)
        seen = situation(calls_today=calls)
        found = decide_shortening("worker", live, seen, LIMITS, shortened=shortened)
        return found and found.reason["code"]

    assert refused("Boil it.") == "single_sentence"
    assert refused("Boil it. Eat it.", shortened=True) == "already_shortened"
    assert refused("Boil it. Eat it.", calls=2000) == "daily_budget_exhausted"
    assert refused("Boil it. Eat it.") is None
