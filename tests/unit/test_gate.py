"""What the gate decides from pairs, whatever their order."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.db.reasons import because
from selfheal.db.types import Agent
from selfheal.optimizer.policy import superiority, transitions
from selfheal.optimizer.policy.detection import assess
from selfheal.optimizer.policy.rollout_plan import (
    decisive_gate,
    expected_pass_rate,
    falls_short,
    plan,
)
from selfheal.optimizer.policy.superiority import (
    DEAD_RATE,
    FEWEST_PAIRS,
    Pair,
    decide,
    lost_for_good,
    needs_repeat,
)
from selfheal.optimizer.records.candidates import Verdict
from selfheal.optimizer.records.detection import Detection, PassRecord
from selfheal.optimizer.statistics import ACCEPT_AT, EXTENDED_ACCEPT_AT
from tests.support.gate_reports import gate_report


def pair(
    old: bool, new: bool, *, held: bool = True, scores: tuple[float, float] | None = None
) -> Pair:
    left, right = scores or (0.9 if old else 0.2, 0.9 if new else 0.2)
    return Pair(f"case{random.random()}", held, old, new, left, right)


def pairs(gains: int = 0, losses: int = 0, both: int = 0, *, held: bool = True) -> list[Pair]:
    return [
        *(pair(False, True, held=held) for _ in range(gains)),
        *(pair(True, False, held=held) for _ in range(losses)),
        *(pair(True, True, held=held) for _ in range(both)),
    ]


def test_a_candidate_that_fixes_every_case_is_accepted() -> None:
    found = decide(pairs(gains=30))
    assert (found.verdict, found.pairs, found.gains, found.losses) == ("accepted", 30, 30, 0)
    assert found.e_value >= ACCEPT_AT
    assert (found.incumbent_rate, found.candidate_rate) == (0.0, 1.0)
    assert found.difference == pytest.approx(0.7)


@pytest.mark.parametrize(
    "seen",
    [
        [],
        pairs(both=60),
        pairs(losses=12, both=48),
        pairs(gains=3, losses=3, both=54),
        pairs(gains=2, both=58),  # better, but nearly nothing to show for it
    ],
)
def test_what_is_not_shown_to_be_better_is_rejected(seen: list[Pair]) -> None:
    assert decide(seen).verdict == "rejected"


def test_better_but_not_proven_is_left_to_a_person() -> None:
    found = decide(pairs(gains=8, both=52))
    assert (found.verdict, found.e_value < ACCEPT_AT) == ("undecided", True)
    counted = (found.reason["values"]["gains"], found.reason["values"]["losses"])
    assert (found.reason["code"], counted) == ("better_but_unproven", (8, 0))


def test_only_hold_out_counts_for_superiority() -> None:
    found = decide(pairs(gains=40, held=False) + pairs(both=20))
    assert (found.verdict, found.gains, found.e_value) == ("rejected", 0, 1.0)
    assert not superiority.superior(pairs(gains=40, held=False))
    assert superiority.superior(pairs(gains=10))
    assert superiority.cannot_prove(pairs(gains=40, held=False), left=9)


@given(st.integers(10, FEWEST_PAIRS - 1))
def test_fewer_than_a_dozen_pairs_are_never_accepted(count: int) -> None:
    found = decide(pairs(gains=count))
    assert found.verdict == "undecided"
    values = {"gains": count, "losses": 0, "pairs": count, "needed": FEWEST_PAIRS}
    assert found.reason == because("too_few_pairs", **values)


def test_regression_completes_the_dozen_pairs() -> None:
    assert decide(pairs(gains=10) + pairs(both=2, held=False)).verdict == "accepted"


def test_a_lower_score_beyond_the_margin_is_rejected_though_more_passes() -> None:
    """Passing more cases barely, and all others worse than before, is no improvement."""
    barely = [pair(False, True, scores=(0.59, 0.61)) for _ in range(12)]
    worse = [pair(True, True, held=False, scores=(1.0, 0.65)) for _ in range(40)]
    found = decide(barely + worse)
    assert found.e_value >= ACCEPT_AT
    assert found.verdict == "rejected"
    assert found.reason["code"] == "may_score_lower"
    assert found.w_value is not None
    assert found.w_value < 1


def test_regressions_lost_weigh_against_gains() -> None:
    found = decide(pairs(gains=12) + pairs(losses=40, held=False))
    assert found.verdict == "rejected"


def test_a_slightly_lower_score_is_within_the_margin() -> None:
    slightly = [pair(True, True, held=False, scores=(0.9, 0.88)) for _ in range(20)]
    assert decide(pairs(gains=12) + slightly).verdict == "accepted"


@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=60),
    st.randoms(use_true_random=False),
)
def test_the_order_of_pairs_does_not_matter(
    drawn: list[tuple[bool, bool, bool]], shuffler: random.Random
) -> None:
    seen = [pair(old, new, held=held) for old, new, held in drawn]
    mixed = list(seen)
    shuffler.shuffle(mixed)
    assert decide(seen) == decide(mixed)


def test_an_objection_leaves_a_proven_candidate_to_an_operator_and_no_other() -> None:
    objection = because("slices_lost", slices=["dates"])
    found = decide(pairs(gains=12), objection=objection)
    assert (found.verdict, found.reason) == ("undecided", objection)
    assert decide(pairs(gains=3), objection=objection).verdict == "rejected"
    worse = [pair(True, True, held=False, scores=(1.0, 0.4)) for _ in range(40)]
    assert decide(pairs(gains=12) + worse, objection=objection).verdict == "rejected"


def test_beyond_the_first_cases_more_evidence_is_needed() -> None:
    assert decide(pairs(gains=11, both=9)).verdict == "accepted"
    found = decide(pairs(gains=11, both=9), EXTENDED_ACCEPT_AT)
    assert (found.verdict, found.needed) == ("undecided", EXTENDED_ACCEPT_AT)
    assert decide(pairs(gains=12, both=9), EXTENDED_ACCEPT_AT).verdict == "accepted"


@pytest.mark.parametrize(
    ("rollout", "agent", "verdict", "rate", "action"),
    [
        ("canary", "worker", "accepted", 0.0, "release"),
        ("canary", "worker", "accepted", DEAD_RATE, "release"),
        ("canary", "manager", "accepted", DEAD_RATE + 0.01, "canary"),
        ("canary", "evaluator", "accepted", DEAD_RATE + 0.01, "release"),
        ("instant", "worker", "accepted", 0.9, "release"),
        ("manual", "worker", "accepted", 0.0, "stage"),
        ("manual", "evaluator", "accepted", 0.0, "stage"),
        ("instant", "worker", "undecided", 0.0, "stage"),
        ("canary", "worker", "undecided", 0.0, "stage"),
    ],
)
def test_what_becomes_of_a_candidate(
    rollout: str, agent: Agent, verdict: Verdict, rate: float, action: str
) -> None:
    gate = gate_report(30, verdict=verdict, incumbent_rate=rate)
    assert plan(rollout, agent, gate, None).action == action


def detected(passed: int, runs: int) -> Detection:
    record = PassRecord(agent="worker", version=1, runs=runs, passed=passed)
    return assess("000", recent=3, threshold=3, usual=record if runs else None)


def test_what_a_healed_prompt_is_expected_to_pass() -> None:
    assert expected_pass_rate("worker", None) is None
    assert expected_pass_rate("worker", detected(0, 0)) == 0.6
    assert expected_pass_rate("manager", detected(90, 100)) == 0.8
    assert expected_pass_rate("evaluator", detected(90, 100)) == 0.6


@pytest.mark.parametrize(
    ("passed", "expected", "short"),
    [(11, 0.6, True), (15, 0.6, False), (18, 0.8, True), (21, 0.8, False), (0, None, False)],
)
def test_a_candidate_falls_short_only_where_chance_does_not_explain_it(
    passed: int, expected: float | None, short: bool
) -> None:
    gate = gate_report(passed)
    assert falls_short(gate, expected) == short
    assert (plan("canary", "worker", gate, expected).reason["code"] == "better_but_not_healed") == (
        short
    )


def test_better_than_broken_is_not_healed_and_another_round_follows() -> None:
    weak, better = gate_report(11), gate_report(28, ordinal=5)
    rejected = gate_report(0, ordinal=5, verdict="rejected")
    assert transitions.after_gate([better], 1, 0.6) == "release"
    assert transitions.after_gate([weak], 1, None) == "release"
    assert transitions.after_gate([weak], 1, 0.6) == "propose"
    assert transitions.after_gate([gate_report(11, budget_spent=True)], 1, 0.6) == "release"
    for second in (better, weak, rejected, gate_report(9, ordinal=5, verdict="undecided")):
        assert transitions.after_gate([weak, second], 2, 0.6) == "release"
    assert transitions.after_screen(None, 2, [weak]) == "release"
    assert transitions.after_lint([], 2, [weak]) == "release"
    assert transitions.after_screen(None, 2, [rejected]) == "conclude"
    assert transitions.after_gate([rejected, rejected], 2, 0.6) == "conclude"


def test_the_best_of_the_accepted_candidates_is_released() -> None:
    weak, better = gate_report(11), gate_report(28, ordinal=5)
    rejected = gate_report(29, ordinal=5, verdict="rejected")
    assert decisive_gate([weak, better]) is better
    assert decisive_gate([better, weak]) is better
    assert decisive_gate([weak, rejected]) is weak
    assert decisive_gate([rejected]) is rejected


@pytest.mark.parametrize(
    ("takes", "gone"),
    [
        ([False], True),
        ([True, False], True),
        ([True, True], False),
        ([None, False], True),
        ([None, None], False),
    ],
)
def test_a_case_that_was_healed_before_is_lost_in_two_of_three(
    takes: list[bool | None], gone: bool
) -> None:
    lost = Pair("a", False, True, False, 1.0, 0.0)
    assert not needs_repeat(lost, ["b"])
    for passed in takes:
        assert needs_repeat(lost, ["a"])
        lost = replace(lost, repeats=(*lost.repeats, passed))
    assert not needs_repeat(lost, ["a"])
    assert lost_for_good(lost) is gone


def test_a_case_that_was_healed_before_outweighs_a_proof() -> None:
    proof = [pair(False, True) for _ in range(40)]
    assert decide(proof).verdict == "accepted"
    gone = Pair("run:1", True, True, False, 1.0, 0.0, (False,))
    found = decide([*proof, gone])
    assert found.verdict == "rejected"
    assert found.reason == because("healed_case_lost", case_id="run:1", takes=3)
    assert decide([*proof, replace(gone, repeats=(True, True))]).verdict == "accepted"


def test_only_what_the_incumbent_passes_can_be_lost() -> None:
    assert not needs_repeat(Pair("a", False, False, False, 0, 0), ["a"])
    assert not needs_repeat(Pair("a", False, True, True, 1, 1), ["a"])
