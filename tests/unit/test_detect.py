"""When there is something to heal."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from selfheal.db.healings import Healing
from selfheal.db.runs import Errors, Outcome, Run
from selfheal.optimizer.context import Rules
from selfheal.optimizer.nodes.detect import ENOUGH_RUNS, Situation, cooling, judge, last_good

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RULES = Rules()


def run(outcome: Outcome, ago: timedelta = timedelta(minutes=1)) -> Run:
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
        created_at=NOW - ago,
        finished_at=NOW - ago,
        evaluation=None,
    )


def healing(closed: timedelta, *, errored: bool = False) -> Healing:
    """Return a healing that ended without a release so long ago."""
    return Healing(
        id=uuid4(),
        agent="worker",
        trigger="t",
        state="end",
        outcome="rejected",
        reason="",
        errored=errored,
        incumbent_version=2,
        to_version=None,
        holder=uuid4(),
        lease_until=NOW,
        calls_reserved=0,
        calls_used=0,
        input_tokens=0,
        output_tokens=0,
        receipt=None,
        opened_at=NOW - closed - timedelta(minutes=1),
        closed_at=NOW - closed,
    )


def situation(
    *runs: Run,
    errors: int = 0,
    record: dict[int, tuple[int, int]] | None = None,
    tried: tuple[Healing, ...] = (),
) -> Situation:
    counted = Errors(errors, uuid4(), "model", "gone") if errors else None
    return Situation(
        runs=runs, errors=counted, records={"worker": record or {}}, tried=tried, now=NOW
    )


def failed(count: int, outcome: Outcome = "failed") -> tuple[Run, ...]:
    return tuple(run(outcome) for _ in range(count))


def outcome(seen: Situation, rules: Rules = RULES) -> str | None:
    verdict = judge(seen, rules)
    return verdict[0] if verdict else None


def test_below_the_threshold_all_is_well() -> None:
    assert outcome(situation()) == "healthy"
    assert outcome(situation(*failed(2))) == "healthy"
    assert outcome(situation(*failed(5)), replace(RULES, failure_threshold=6)) == "healthy"


def test_without_a_good_version_the_count_alone_decides() -> None:
    assert outcome(situation(*failed(3))) is None
    assert outcome(situation(*failed(2), *failed(1, "output"))) is None
    assert outcome(situation(*failed(3), *(run("ok") for _ in range(200)))) is None


@pytest.mark.parametrize("record", [{1: (ENOUGH_RUNS - 1, ENOUGH_RUNS - 1)}, {1: (100, 79)}])
def test_a_version_with_little_or_a_bad_record_is_no_yardstick(
    record: dict[int, tuple[int, int]],
) -> None:
    assert outcome(situation(*failed(3), *(run("ok") for _ in range(97)), record=record)) is None
    assert last_good(record, 2) is None


def test_no_more_failures_than_a_good_version_has_are_healthy() -> None:
    """10 % are usual: 12 of 100 are no surprise, 12 of 30 are."""
    usual = {1: (998, 899)}
    assert outcome(situation(*failed(12), *(run("ok") for _ in range(88)), record=usual)) == (
        "healthy"
    )
    assert outcome(situation(*failed(12), *(run("ok") for _ in range(18)), record=usual)) is None


def test_the_live_versions_own_past_is_a_yardstick_too() -> None:
    own = {2: (998, 899)}
    assert outcome(situation(*failed(12), *(run("ok") for _ in range(88)), record=own)) == "healthy"
    assert last_good(own, 2) is None
    assert last_good({1: (10, 9), 3: (10, 10), 2: (10, 10), 4: (10, 1)}, 2) == 3


def test_a_rejection_is_waited_out_an_hour_and_for_new_failures() -> None:
    early = situation(*failed(3), tried=(healing(timedelta(minutes=59)),))
    assert outcome(early) == "cooling_down"
    assert "not again before" in cooling(early, RULES)
    late = situation(*failed(3), tried=(healing(timedelta(minutes=61)),))
    assert outcome(late) is None


def test_old_failures_do_not_end_a_cool_down() -> None:
    old = (run("failed", timedelta(minutes=90)), *failed(2))
    seen = situation(*old, tried=(healing(timedelta(minutes=61)),))
    assert outcome(seen) == "cooling_down"
    assert cooling(seen, RULES) == "only 2 new failures since the last healing"


@pytest.mark.parametrize(
    ("rejections", "hours"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 24), (20, 24)]
)
def test_the_cool_down_doubles_to_a_day(rejections: int, hours: int) -> None:
    def after(wait: timedelta) -> str | None:
        tried = tuple(healing(wait + timedelta(days=n)) for n in range(rejections))
        return outcome(situation(*failed(3), tried=tried))

    assert after(timedelta(hours=hours, minutes=-1)) == "cooling_down"
    assert after(timedelta(hours=hours, minutes=1)) is None


def test_an_errored_healing_is_tried_again_after_ten_minutes() -> None:
    def after(minutes: int) -> str | None:
        tried = (healing(timedelta(minutes=minutes), errored=True),)
        return outcome(situation(*failed(3), tried=tried))

    assert after(9) == "cooling_down"
    assert after(11) is None


def test_errors_do_not_lengthen_the_cool_down_after_a_rejection() -> None:
    tried = (
        healing(timedelta(minutes=61)),
        *(healing(timedelta(hours=n), errored=True) for n in (2, 3, 4)),
    )
    assert outcome(situation(*failed(3), tried=tried)) is None


def test_infrastructure_alone_proceeds_to_triage() -> None:
    """Triage then says `not_the_prompt`, so that somebody hears of it."""
    assert outcome(situation(errors=3)) is None
    assert outcome(situation(*failed(1), errors=2)) is None
    assert outcome(situation(errors=2)) == "healthy"


def test_runs_without_a_verdict_are_no_failures() -> None:
    errors: tuple[Outcome, ...] = ("infrastructure", "model", "evaluation")
    seen = situation(*(run(each) for each in errors), run("ok"))
    assert seen.failures == []
    assert outcome(seen) == "healthy"
