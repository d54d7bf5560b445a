"""A release that makes answers unusable is rolled back, and an outage is not taken for one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from selfheal.app.errors import (
    EvaluationError,
    InfrastructureError,
    ModelUnavailableError,
    OutputError,
    RequestError,
    RunError,
    under,
)
from selfheal.db.reasons import Reason
from selfheal.db.types import AGENTS, Agent, AnswerStats, Release, VersionStats
from selfheal.optimizer.policy.canary import MonitorDecision, ReleaseStatus, decide
from selfheal.optimizer.policy.unusable_answers import made_unusable, rate_rose

NOW = datetime(2026, 11, 28, tzinfo=UTC)
NO_RUNS = VersionStats(0, 0.0, 0.0, 0, None)


def answers(total: int, unusable: int, first: int = 0) -> AnswerStats:
    return AnswerStats(total, unusable, first)


def code(reason: Reason | None) -> str | None:
    return reason["code"] if reason else None


@pytest.mark.parametrize(("record", "after"), [(5, 6), (10, 4), (24, 3), (200, 3)])
def test_answers_that_are_all_unusable_are_found_within_a_few_runs(record: int, after: int) -> None:
    before = answers(record, 0, record)
    found = [n for n in range(1, 20) if made_unusable(answers(n, n), before)]
    assert found[0] == after
    assert found == list(range(after, 20))


def test_its_figures_are_in_the_reason() -> None:
    reason = made_unusable(answers(7, 6), answers(60, 1, 30))
    assert reason is not None
    assert reason["values"] == {
        "unusable": 6,
        "answers": 7,
        "unusable_before": 1,
        "answers_before": 60,
        "e_value": round(rate_rose(answers(7, 6), answers(60, 1, 30)), 4),
    }


@pytest.mark.parametrize(
    ("new", "before"),
    [
        (answers(2, 2), answers(200, 0, 200)),  # too few
        (answers(9, 9), answers(0, 0)),  # not usable before
        (answers(9, 9), answers(9, 9)),
        (answers(9, 9), answers(9, 7)),  # too seldom usable before
        (answers(30, 3), answers(60, 6)),  # as often as before
        (answers(60, 3), answers(200, 4)),
        (answers(0, 0), answers(0, 0)),
    ],
)
def test_otherwise_the_release_is_not_the_cause(new: AnswerStats, before: AnswerStats) -> None:
    assert made_unusable(new, before) is None


def test_what_began_long_after_the_release_is_not_its_doing() -> None:
    before = answers(200, 0, 200)
    assert made_unusable(answers(60, 10, first=50), before) is None
    assert made_unusable(answers(60, 10, first=4), before) is not None
    assert made_unusable(answers(11, 10, first=1), before) is not None, "one was usable by chance"


def test_versions_that_slip_equally_often_are_seldom_rolled_back() -> None:
    rng = np.random.default_rng(3)
    for rate in (0.02, 0.1, 0.3):
        for record in (5, 24, 200):
            rolled_back = 0
            for slips, old in zip(
                rng.random((300, 200)) < rate, rng.binomial(record, rate, 300), strict=True
            ):
                before = answers(record, int(old))
                counts = slips.cumsum()
                # Only a slip can be news, and the first usable answers only excuse.
                looks = np.flatnonzero(slips)[2:]
                rolled_back += any(
                    made_unusable(answers(int(n) + 1, int(counts[n])), before) for n in looks
                )
            assert rolled_back / 300 <= 0.01, (rate, record)


def status(agent: Agent, percent: int = 100, *, pinned: bool = False) -> MonitorDecision:
    release = Release(
        2, agent, 1, "activate", 2, "cli", "", NOW, None, None, percent, pinned=pinned
    )
    new, before = answers(4, 4), answers(30, 0, 30)
    return decide(ReleaseStatus(release, NO_RUNS, NO_RUNS, timedelta(hours=1), new, before))


@pytest.mark.parametrize("agent", AGENTS)
def test_every_agent_is_monitored_for_it(agent: Agent) -> None:
    for percent in (50, 100):
        decision = status(agent, percent)
        assert (decision.action, code(decision.reason)) == ("take_back", "unusable_answers")
    pinned = status(agent, pinned=True)
    assert (pinned.action, code(pinned.reason)) == ("hold", "pinned_but_worse")


def test_scores_of_two_judges_are_not_compared() -> None:
    release = Release(2, "evaluator", 1, "activate", 2, "cli", "", NOW, None, None, 100, False)
    low, high = VersionStats(100, 0.1, 0.01, 0, 1.0), VersionStats(100, 0.9, 0.01, 0, 1.0)
    worse = ReleaseStatus(release, low, high, timedelta(hours=1))
    assert decide(worse).action == "wait"
    assert decide(replace(worse, release=replace(release, agent="worker"))).action == "take_back"


@pytest.mark.parametrize(
    ("error", "unusable"),
    [
        (OutputError("does not fit Marks"), True),
        (EvaluationError("the judge could not answer", unusable=True), True),
        (EvaluationError("the sandbox failed"), False),
        (InfrastructureError("the model gave an empty answer"), False),
        (ModelUnavailableError("retired"), False),
        (RequestError("blocked"), False),
    ],
)
def test_only_answers_that_arrived_are_unusable(error: RunError, unusable: bool) -> None:
    with pytest.raises(RunError), under("evaluator", 7):
        raise error
    assert error.unusable_agent == ("evaluator" if unusable else None)
    assert error.prompt_versions == {"evaluator": 7}
