"""When a candidate is kept, when it is tried again, and how often a useless one is accepted."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from selfheal.db.reasons import because
from selfheal.db.types import Agent
from selfheal.optimizer.outcomes import Ending, kept
from selfheal.optimizer.policy import collecting
from selfheal.optimizer.policy.collecting import decide, decide_again, is_due, is_question
from selfheal.optimizer.policy.noninferiority import gate_test
from selfheal.optimizer.policy.sequential_test import GateCases, report
from selfheal.optimizer.policy.superiority import Pair
from selfheal.optimizer.records.candidates import (
    GateReport,
    Keeping,
    KeptCandidate,
    ScreenReport,
    ScreenResult,
)
from selfheal.optimizer.statistics import ACCEPT_AT

GOLDEN = [f"golden:{place}" for place in range(60)]
Verdicts = dict[str, tuple[bool, bool]]


def gate(production: list[str], verdicts: Verdicts, golden: list[str] = GOLDEN) -> GateReport:
    """Run a gate on production cases, then golden ones, which both prompts pass."""
    test = gate_test(GateCases([*production, *golden], []), 4, shortening=False)
    while batch := test.next():
        pairs = []
        for case in batch:
            old, new = verdicts.get(case, (True, True))
            pairs.append(Pair(case, not test.proven, old, new, float(old), float(new)))
        test.add(batch, pairs)
    return report(test, 1)


def screened(passed: int, of: int = 4, cases: int = 4) -> list[ScreenReport]:
    result = ScreenResult(ordinal=1, passed=passed, of=of, cases=cases, score=1.0, out=False)
    return [ScreenReport(bar=0.0, results=[result], survivor=1, round=1)]


def candidate(gains: int = 0, losses: int = 0, held_out: tuple[str, ...] = ()) -> KeptCandidate:
    at = "2026-11-28T00:00:00+00:00"
    return KeptCandidate(healing_id="h", ordinal=1, text="t", since=at, tried_at=at, run_ids=[],
                         train=[], held_out=[*held_out], gains=gains, losses=losses)  # fmt: skip


def test_a_candidate_that_golden_cases_cannot_prove_is_kept() -> None:
    found = gate([], {})
    assert is_question("worker", "writer", found, screened(4), [])
    keeps, reason = decide(found, screened(4), [], (0, 4))
    assert (keeps, reason["code"]) == (True, "collecting_cases")


@pytest.mark.parametrize(
    ("agent", "screens"),
    [("evaluator", screened(4)), ("worker", screened(2)), ("worker", screened(4, cases=2)),
     ("worker", screened(3, of=3)), ("worker", [])],
)  # fmt: skip
def test_it_must_help_clearly_on_training_cases(agent: Agent, screens: list[ScreenReport]) -> None:
    assert not is_question(agent, "writer", gate([], {}), screens, [])


@pytest.mark.parametrize("incumbent", [(2, 4), (4, 4), (0, 0), (1, 3)])
def test_the_incumbent_must_still_fail_them(incumbent: tuple[int, int]) -> None:
    keeps, reason = decide(gate([], {}), screened(4), [], incumbent)
    assert (keeps, reason["code"]) == (False, "incumbent_passes_training")


def test_a_gate_that_had_enough_cases_or_found_harm_decides() -> None:
    production = [f"run:{place}" for place in range(20)]
    neither = gate(production, dict.fromkeys(production, (False, False)))
    assert not is_question("worker", "writer", neither, screened(4), production)
    worse = gate([], dict.fromkeys(GOLDEN, (True, False)))
    assert not is_question("worker", "writer", worse, screened(4), [])


@pytest.mark.parametrize(
    ("gains", "losses", "fresh", "recent", "due"),
    [
        (0, 0, 9, 9, False),
        (0, 0, 10, 10, True),
        (8, 0, 1, 9, False),
        (8, 0, 3, 3, True),
        (4, 4, 10, 10, False),
        (0, 0, 10, 2, False),  # those before gave no verdict
    ],
)
def test_it_is_tried_once_new_cases_could_prove_it(
    gains: int, losses: int, fresh: int, recent: int, due: bool
) -> None:
    assert is_due(candidate(gains, losses), fresh, recent) is due


def test_it_is_kept_for_seven_days() -> None:
    now = datetime.now(UTC)
    assert not collecting.is_expired((now - timedelta(days=6)).isoformat(), now)
    assert collecting.is_expired((now - timedelta(days=8)).isoformat(), now)


def test_it_is_given_up_without_gains_and_kept_with_some() -> None:
    production = [f"run:{place}" for place in range(10)]
    lost = gate(production, dict.fromkeys(production, (False, False)), golden=[])
    assert decide_again(lost, production)[1]["code"] == "kept_candidate_failed"
    some: Verdicts = {case: (False, place > 1) for place, case in enumerate(production)}
    found = gate(production, some, golden=[])
    keeps, reason = decide_again(found, production)
    assert (keeps, reason["code"]) == (True, "collecting_more_cases")


def test_a_healing_ends_by_what_was_decided_of_its_candidate() -> None:
    why = because("kept_candidate_failed", gains=0, losses=0, of=4)
    first = Keeping(ordinal=1, kept=False, reason=why, incumbent=(4, 4), held_out=[])
    assert kept([]) is None
    assert kept([first]) is None  # it continues as after any gate
    assert kept([{**first, "incumbent": None}]) == Ending("rejected", why)
    assert kept([{**first, "kept": True}]) == Ending("collecting", why)


def accepted(old: float, new: float, draw: random.Random) -> bool:
    """Follow a kept candidate through its gates; tell whether one of them proves it."""
    verdicts: Verdicts = {}
    following, last = candidate(), 0
    for come in range(1, 61):
        verdicts[f"run:{come}"] = (draw.random() < old, draw.random() < new)
        if not is_due(following, come - len(following["held_out"]), come - last):
            continue
        production = [*verdicts]
        found = gate(production, verdicts, golden=[])
        if found["e_value"] >= ACCEPT_AT:
            return True
        if not decide_again(found, production)[0]:
            return False
        gains, losses = collecting.counted(found, production)
        used: Any = tuple(collecting.tried_cases(found, production))
        following, last = candidate(gains, losses, used), come
    return False


@pytest.mark.parametrize(("old", "new", "low", "high"),
                         [(0.0, 1.0, 1, 1), (0.1, 0.9, 0.8, 1), (0.5, 0.5, 0, 0.02),
                          (0.2, 0.2, 0, 0.02), (0.85, 0.85, 0, 0.02)])  # fmt: skip
def test_all_gates_of_a_useless_candidate_together_err_in_one_percent(
    old: float, new: float, low: float, high: float
) -> None:
    draw = random.Random(7)
    count = 200
    rate = sum(accepted(old, new, draw) for _ in range(count)) / count
    assert low <= rate <= high, rate
