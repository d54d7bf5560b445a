"""The screening rule: its errors by simulation, its number of trials, and what it never does."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest

from selfheal.db.reasons import because
from selfheal.db.types import Agent, Trial
from selfheal.optimizer.policy import screening
from selfheal.optimizer.policy.screening import GOOD_RECORD, Rule, due, is_out, report
from selfheal.optimizer.policy.transitions import after_lint, after_screen
from selfheal.optimizer.records.candidates import Proposal

SEVERAL = 2000


def trial(arm: int, place: int, passed: bool, cases: int = 99) -> Trial:
    return Trial(
        healing_id=UUID(int=1),
        stage="screen",
        arm=arm,
        case_id=f"run:{place % cases}",
        outcome="ok" if passed else "failed",
        passed=passed,
        score=float(passed),
        executed=True,
        calls=2,
        take=place // cases,
        created_at=datetime.now(UTC),
    )


def run(rule: Rule, passes: Callable[[], bool | None], arm: int = 1) -> list[Trial]:
    """Run a candidate's trials as the node does; None is a trial without a verdict."""
    trials: list[Trial] = []
    attempts = 0
    while count := due(rule, trials, attempts):
        for _ in range(count):
            verdict = passes()
            if verdict is not None:
                trials.append(trial(arm, attempts, verdict, rule.cases))
            attempts += 1
    assert attempts <= rule.attempts
    return trials


def eliminated(rule: Rule, rate: float, seed: int = 1) -> float:
    """Return the share of candidates of this true rate that are eliminated."""
    draw = random.Random(seed)
    found = [is_out(rule, run(rule, lambda: draw.random() < rate)) for _ in range(SEVERAL)]
    return sum(found) / SEVERAL


WORKER = Rule("worker", 0.0, 20)
JUDGE = Rule("evaluator", 0.7, 47)


@pytest.mark.parametrize(("rate", "most"), [(0.6, 0.08), (0.8, 0.01), (0.9, 0.005)])
def test_a_good_candidate_is_hardly_ever_eliminated(rate: float, most: float) -> None:
    assert eliminated(WORKER, rate) <= most  # exactly .053, .0023, .0001


@pytest.mark.parametrize(("rate", "least"), [(0.0, 1.0), (0.1, 0.9), (0.2, 0.7)])
def test_a_useless_candidate_is_eliminated(rate: float, least: float) -> None:
    assert eliminated(WORKER, rate) >= least


@pytest.mark.parametrize(("rate", "low", "high"), [(0.5, 0.98, 1), (0.6, 0.86, 1),
                                                   (0.8, 0, 0.055), (0.9, 0, 0.003)])  # fmt: skip
def test_a_judge_is_held_to_its_bar(rate: float, low: float, high: float) -> None:
    assert low <= eliminated(JUDGE, rate) <= high


@pytest.mark.parametrize("cases", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("agent", ["worker", "manager", "evaluator"])
@pytest.mark.parametrize("unjudged", [0.0, 0.5, 0.95])
def test_nothing_is_eliminated_on_few_trials_or_few_cases(
    agent: Agent, cases: int, unjudged: float
) -> None:
    draw = random.Random(cases)
    rule = Rule(agent, screening.bar(agent, None), cases)
    for _ in range(200):
        trials = run(rule, lambda: None if draw.random() < unjudged else False)
        if is_out(rule, trials):
            assert len(trials) >= 4
            assert len({each.case_id for each in trials}) >= 3


def test_a_candidate_close_to_elimination_is_tried_again() -> None:
    passes = iter([True, False, False, False, True, True, False, False])
    trials = run(WORKER, lambda: next(passes))
    assert (len(trials), is_out(WORKER, trials)) == (8, False)
    assert len(run(WORKER, lambda: False)) == 4
    half = iter([True, True, False, False])
    assert len(run(WORKER, lambda: next(half))) == 4


def test_with_few_cases_each_is_tried_more_than_once() -> None:
    rule = Rule("worker", 0.0, 3)
    trials = run(rule, lambda: False)
    assert [(each.case_id, each.take) for each in trials] == [
        ("run:0", 0), ("run:1", 0), ("run:2", 0), ("run:0", 1),
    ]  # fmt: skip
    assert is_out(rule, trials)


def test_a_trial_without_a_verdict_is_made_up_for() -> None:
    verdicts = iter([None, None, True, True, True, None, False])
    trials = run(WORKER, lambda: next(verdicts))
    assert [each.passed for each in trials] == [True, True, True, False]


def test_the_best_survives_and_the_others_are_eliminated_or_outranked() -> None:
    shares = {1: 0, 2: 2, 3: 4, 4: 4}
    results = {
        arm: [trial(arm, place, place < passed) for place in range(4)]
        for arm, passed in shares.items()
    }
    found = report(WORKER, {**results, 5: []}, proven={4})
    assert found["survivor"] == 4  # of equals the version that was live before
    assert [each["out"] for each in found["results"]] == [True, False, False, False, False]
    why = [screening.lost(each, found["survivor"]) for each in found["results"]]
    assert why[0] == because("screening_lost", passed=0, of=4)
    assert why[1] == because("screening_outranked", passed=2, of=4, candidate=4)
    assert why[4] == because("screening_without_verdict")


def proposal(ordinal: int, **more: object) -> Proposal:
    made = Proposal(ordinal=ordinal, round=1, origin="writer", version=None, text="t",
                    rationale="", fate="", reason=None)  # fmt: skip
    return {**made, **more}  # type: ignore[typeddict-item]


def test_what_was_only_outranked_is_screened_again_after_the_gate() -> None:
    outranked = because("screening_outranked", passed=3, of=4, candidate=2)
    lost = because("screening_lost", passed=0, of=4)
    best = proposal(2, fate="gate", reason=lost)
    again = proposal(1, fate="screen", reason=outranked)
    assert after_lint([again, best], 2, []) == "screen"
    assert after_lint([proposal(1, fate="screen", reason=lost), best], 2, []) == "conclude"


def test_a_candidate_with_a_good_record_needs_no_screening() -> None:
    assert after_lint([proposal(1)], 0, []) == "gate"
    assert set(GOOD_RECORD) == {"staged", "proven", "last_good"}
    assert after_screen(None, 1, []) == "propose"
