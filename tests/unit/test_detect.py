"""When there is something to heal."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from selfheal.db.reasons import because
from selfheal.db.runs import COUNTABLE, FAILED
from selfheal.optimizer.policy.detection import (
    ENOUGH_RUNS,
    MOST_FAILURES,
    MOST_RUNS,
    YOUNG_RATE,
    CountableRun,
    Decision,
    PastHealing,
    Record,
    Situation,
    assess,
    cooling_down,
    decide,
    decide_shortening,
    failures_to_read,
    last_good,
    usual_failure_rate,
    usual_record,
)
from selfheal.optimizer.records.cases import Count, Version
from selfheal.optimizer.records.detection import NewestError, PassRecord

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


def runs(outcomes: str, *, minutes: float = 1) -> list[CountableRun]:
    """Return runs by their outcomes, `1` passed and `0` failed, the newest a minute ago.

    Args:
        outcomes: oldest first.
        minutes: between two of them.
    """
    return [
        CountableRun(each == "0", NOW - timedelta(minutes=1 + minutes * (len(outcomes) - place)))
        for place, each in enumerate(outcomes, 1)
    ]


def situation(
    outcomes: str = "",
    *,
    minutes: float = 0.01,
    errors: int = 0,
    record: dict[int, tuple[int, int]] | None = None,
    tried: tuple[PastHealing, ...] = (),
    calls_today: int = 0,
) -> Situation:
    """Return runs of the last minutes."""
    return Situation(
        runs=runs(outcomes, minutes=minutes),
        errors=errors,
        newest_error=NewestError(run_id="r", outcome="model", message="gone") if errors else None,
        records={"worker": records(record or {})},
        tried=tried,
        now=NOW,
        calls_today=calls_today,
    )


def records(counts: dict[int, tuple[int, int]]) -> dict[int, Record]:
    return {version: Record(*each) for version, each in counts.items()}


def outcome(seen: Situation, limits: Limits = LIMITS) -> str | None:
    decided = decide(seen, limits).no_healing
    return decided.outcome if decided else None


def rule(outcomes: str, minutes: float = 0.01, record: tuple[int, int] | None = None) -> str:
    seen = situation(outcomes, minutes=minutes, record={1: record} if record else None)
    return decide(seen, LIMITS).detection["rule"]


def test_below_the_threshold_all_is_well() -> None:
    assert outcome(situation()) == "healthy"
    assert outcome(situation("00")) == "healthy"
    assert outcome(situation("00000"), Limits(failure_threshold=6)) == "healthy"
    reason = because("few_failures", failures=2, needed=3)
    assert decide(situation("0110"), LIMITS).no_healing == ("healthy", reason)


def test_a_version_that_never_passed_opens_at_three_failures_at_once_or_at_four() -> None:
    assert rule("000") == "no_pass"
    assert rule("000", minutes=14) == "no_pass"
    assert rule("000", minutes=15) == "none"
    assert rule("0000", minutes=24 * 60) == "no_pass"
    assert rule("1000") == "none"


def test_three_ordinary_failures_of_a_young_service_open_nothing() -> None:
    assert rule("1010110") == "none"
    assert rule("11111100011") == "none"


def test_failures_since_the_release_and_since_a_change() -> None:
    assert rule("100000") == "release"
    assert rule("1" * 60 + "00000") == "none"
    assert rule("1" * 60 + "000000") == "change"
    assert rule("1" * 60 + "000", record=(1000, 990)) == "change"
    assert rule("1" * 999 + "00000") == "none"


def test_of_a_long_log_the_first_run_is_not_the_first_of_all() -> None:
    """Its newest thousand runs start anywhere: one of many starts."""
    log = "01" * (MOST_RUNS // 2)
    weak = assess(log[2:], recent=0, threshold=3, usual=None)
    assert (weak["rule"], weak["window"]) == ("release", MOST_RUNS - 2)
    assert assess(log, recent=0, threshold=3, usual=None)["rule"] == "change"
    spread = "1" * 3 + "0" * 8
    slow = "1" * (MOST_RUNS - len(spread)) + spread
    assert assess(slow, recent=0, threshold=9, usual=None)["rule"] == "none"


def test_what_a_healing_reads_begins_where_the_failures_do() -> None:
    ordinary = "1111101111" * 20
    found = assess(ordinary + "0000000", recent=7, threshold=3, usual=None)
    assert (found["rule"], found["window"], failures_to_read(found)) == ("change", 7, 7)
    assert (found["runs"], found["failures"]) == (207, 27)
    dead = assess("0" * 300, recent=300, threshold=3, usual=None)
    assert failures_to_read(dead) == MOST_FAILURES
    forced = assess(ordinary, recent=0, threshold=3, usual=None)
    assert (forced["rule"], failures_to_read(forced)) == ("none", 20)


@pytest.mark.parametrize("record", [{1: (ENOUGH_RUNS - 1, ENOUGH_RUNS - 1)}, {1: (100, 79)}])
def test_a_version_with_little_or_a_bad_record_is_no_yardstick(
    record: dict[int, tuple[int, int]],
) -> None:
    assert usual_record({"worker": records(record)}) is None
    assert usual_failure_rate(None) == YOUNG_RATE
    assert last_good(records(record), 2) is None


def test_the_usual_failure_rate_is_the_last_good_versions_with_some_tolerance() -> None:
    def rate(runs: int, passed: int) -> float:
        record = PassRecord(agent="worker", version=1, runs=runs, passed=passed)
        return usual_failure_rate(record)

    assert rate(5, 5) == rate(5, 4) == YOUNG_RATE
    assert rate(980, 882) == pytest.approx(0.102 * 1.5)
    assert rate(980, 980) == pytest.approx(0.006)
    assert rate(1000, 800) == YOUNG_RATE


def test_of_two_agents_the_better_record_counts() -> None:
    found = usual_record({"worker": records({1: (100, 90)}), "manager": records({1: (100, 99)})})
    assert found == PassRecord(agent="manager", version=1, runs=100, passed=99)


def test_the_live_versions_own_past_is_a_yardstick_too() -> None:
    own = {2: (998, 899)}
    assert usual_record({"worker": records(own)}) is not None
    assert last_good(records(own), 2) is None
    assert last_good(records({1: (10, 9), 3: (10, 10), 2: (10, 10), 4: (10, 1)}), 2) == 3


def test_a_rejection_is_waited_out_an_hour_and_for_new_failures() -> None:
    early = situation("000", tried=(healing(timedelta(minutes=59)),))
    assert outcome(early) == "cooling_down"
    due = (NOW + timedelta(minutes=1)).isoformat()
    assert cooling_down(early, LIMITS) == because("cooling_down", until=due)
    late = situation("000", tried=(healing(timedelta(minutes=61)),))
    assert outcome(late) is None


def test_old_failures_do_not_end_a_cool_down() -> None:
    seen = situation("0000", minutes=40, tried=(healing(timedelta(minutes=61)),))
    assert outcome(seen) == "cooling_down"
    assert cooling_down(seen, LIMITS) == because("few_new_failures", failures=2)


@pytest.mark.parametrize(
    ("rejections", "hours"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 24), (20, 24)]
)
def test_the_cool_down_doubles_to_a_day(rejections: int, hours: int) -> None:
    def after(wait: timedelta) -> str | None:
        tried = tuple(healing(wait + timedelta(days=n)) for n in range(rejections))
        return outcome(situation("000", tried=tried))

    assert after(timedelta(hours=hours, minutes=-1)) == "cooling_down"
    assert after(timedelta(hours=hours, minutes=1)) is None


def test_an_errored_healing_is_tried_again_after_ten_minutes() -> None:
    def after(minutes: int) -> str | None:
        tried = (healing(timedelta(minutes=minutes), errored=True),)
        return outcome(situation("000", tried=tried))

    assert after(9) == "cooling_down"
    assert after(11) is None


def test_errors_do_not_lengthen_the_cool_down_after_a_rejection() -> None:
    tried = (
        healing(timedelta(minutes=61)),
        *(healing(timedelta(hours=n), errored=True) for n in (2, 3, 4)),
    )
    assert outcome(situation("000", tried=tried)) is None


def test_a_surge_ends_a_cool_down() -> None:
    """By how much failed before: twelve failures are nothing new where everything failed."""

    def after(seen: Count) -> Decision:
        tried = (replace(healing(timedelta(minutes=30)), seen=seen),)
        return decide(situation("1" * 40 + "0" * 12, tried=tried), LIMITS)

    surged = after((5, 40))
    assert surged.no_healing is None
    assert (surged.detection["rule"], surged.detection["before"]) == ("surge", (5, 40))
    assert (surged.detection["runs"], surged.detection["failures"]) == (52, 12)
    assert surged.detection["reason"]["code"] == "failures_surged"
    for seen in ((3, 3), (0, 0), (30, 40)):
        waits = after(seen)
        assert waits.no_healing is not None
        assert waits.no_healing.outcome == "cooling_down"


def test_a_surge_counts_runs_since_the_last_healing_alone() -> None:
    tried = (replace(healing(timedelta(minutes=5)), seen=(5, 40)),)
    seen = situation("1" * 20 + "0" * 12, minutes=1, tried=tried)
    assert outcome(seen) == "cooling_down"


def test_a_surge_does_not_raise_the_days_budget() -> None:
    tried = (replace(healing(timedelta(minutes=30)), seen=(5, 40)),)
    assert outcome(situation("0" * 12, tried=tried, calls_today=2000)) == "cooling_down"


def test_errors_alone_are_not_the_prompts() -> None:
    assert outcome(situation(errors=3)) == "not_the_prompt"
    decided = decide(situation("01111", errors=2), LIMITS).no_healing
    newest = because("run_failed", outcome="model", message="gone")
    assert decided == (
        "not_the_prompt",
        because("not_the_prompt", errors=2, failures=1, newest=newest),
    )
    assert outcome(situation(errors=2)) == "healthy"
    assert outcome(situation("0101010111", errors=9)) == "healthy"


def test_only_what_a_prompt_can_influence_is_evidence() -> None:
    assert set(COUNTABLE) == {"ok", "failed", "output"}
    assert set(FAILED) == {"failed", "output"}


def test_no_healing_is_opened_without_a_budget() -> None:
    spent = because("daily_budget_exhausted", calls=2000)
    assert decide(situation("0" * 9, calls_today=2000), LIMITS).no_healing == (
        "cooling_down",
        spent,
    )
    assert outcome(situation("0" * 9, calls_today=1999)) is None


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
