"""The order in which a gate asks, and where it stops, whatever the cases come to."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.db.reasons import because
from selfheal.optimizer.policy.noninferiority import FIXED_PAIRS, gate_test
from selfheal.optimizer.policy.sequential_test import GateCases, GateTest, report
from selfheal.optimizer.policy.superiority import Pair, not_inferior, superior
from selfheal.optimizer.statistics import EXTENDED_ACCEPT_AT, FIRST_CASES, hopeless

HOLD_OUT = [f"h{number}" for number in range(150)]
REGRESSION = [f"r{number}" for number in range(40)]
GAIN, LOSS, BOTH, NEITHER, NOTHING = "gain", "loss", "both", "neither", "nothing"


def gate(
    hold_out: Sequence[str],
    regression: Sequence[str],
    width: int,
    pinned: Sequence[str] = (),
    *,
    shortening: bool = False,
    kinds: int = 1,
    most_cases: int = 200,
) -> GateTest:
    slices = {each: f"kind{int(each[1:]) % kinds}" for each in (*hold_out, *regression)}
    cases = GateCases.in_turns(hold_out, regression, pinned, slices)
    return gate_test(cases, width, shortening=shortening, most_cases=most_cases)


def pair_of(case: str, fate: str, held: bool) -> Pair | None:
    old, new = fate in (LOSS, BOTH), fate in (GAIN, BOTH)
    return None if fate == NOTHING else Pair(case, held, old, new, float(old), float(new))


def ask(course: GateTest, *fates: str, affordable: int = 0) -> list[str]:
    """Run a gate to its end, with one fate after another for its cases, then the last."""
    left = list(fates)
    while True:
        while batch := course.next():
            held = not course.proven
            seen = [left.pop(0) if len(left) > 1 else left[0] for _ in batch]
            pairs = [pair_of(case, fate, held) for case, fate in zip(batch, seen, strict=True)]
            course.add(batch, [pair for pair in pairs if pair])
        if not course.extendable:
            return course.run
        course.extend(affordable)


def test_a_clear_winner_stops_after_a_dozen_pairs() -> None:
    course = gate(HOLD_OUT, REGRESSION, 4)
    assert ask(course, GAIN) == HOLD_OUT[:12]
    assert course.decision().verdict == "accepted"
    assert course.stopped() == because("proven_and_not_inferior")
    assert all(pair.hold_out for pair in course.pairs)


def test_it_stops_where_no_outcome_could_prove_it() -> None:
    course = gate(HOLD_OUT[:12], REGRESSION, 4)
    assert ask(course, LOSS) == HOLD_OUT[:4]
    assert hopeless(0, 4, 8)
    assert course.stopped() == because("cannot_prove_with_cases_left", left=8)


def test_a_candidate_that_changes_nothing_is_soon_given_up() -> None:
    """Its e-value is 1: without more gains than losses that pays for no more cases."""
    course = gate(HOLD_OUT, REGRESSION, 4)
    assert ask(course, BOTH, affordable=200) == HOLD_OUT[:20]
    assert course.stopped() == because("cannot_prove_at_this_rate", left=40)
    assert course.affordable is None


def test_a_promising_one_gets_more_cases_and_needs_more_evidence() -> None:
    course = gate(HOLD_OUT, REGRESSION, 4)
    often = [GAIN, *[BOTH] * 7] * 12
    assert ask(course, *often, BOTH, affordable=130)[:89] == HOLD_OUT[:89]
    assert course.needed == EXTENDED_ACCEPT_AT
    held = [pair for pair in course.pairs if pair.hold_out]
    assert superior(held)
    assert superior(held, EXTENDED_ACCEPT_AT)
    assert len(held) > FIRST_CASES
    assert report(course, 1)["needed"] == EXTENDED_ACCEPT_AT
    assert course.decision().verdict == "accepted"


def test_the_second_stage_does_not_accept_at_the_evidence_of_the_first() -> None:
    """Ten gains are enough within 60 cases, and not afterwards."""
    course = gate(HOLD_OUT, REGRESSION, 4)
    ask(course, *[GAIN, *[BOTH] * 7] * 11, BOTH, affordable=150)
    assert superior(course.pairs)
    decided = course.decision()
    assert (decided.verdict, decided.reason["code"]) == ("undecided", "better_but_unproven")
    assert decided.reason["values"]["needed"] == int(EXTENDED_ACCEPT_AT)


@pytest.mark.parametrize("affordable", [0, 60])
def test_what_the_budget_does_not_cover_is_not_begun(affordable: int) -> None:
    course = gate(HOLD_OUT, REGRESSION, 4)
    run = ask(course, *[GAIN, *[BOTH] * 7] * 12, BOTH, affordable=affordable)
    assert len(run) <= FIRST_CASES
    assert course.stopped() == because("more_cases_unaffordable", affordable=affordable)


def test_it_ends_with_the_cases_that_are_allowed() -> None:
    slow = [GAIN, *[BOTH] * 7] * 30
    few = gate(HOLD_OUT, REGRESSION, 4, most_cases=60)
    assert len(ask(few, *slow, affordable=200)) <= 60
    assert few.affordable is None
    more = gate(HOLD_OUT, REGRESSION, 4, most_cases=80)
    assert len([each for each in ask(more, *slow, affordable=200) if each in HOLD_OUT]) <= 80
    short = gate(HOLD_OUT[:12], REGRESSION, 3)
    assert ask(short, *[GAIN] * 9, BOTH) == HOLD_OUT[:12]
    assert short.stopped() == because("hold_out_exhausted")


def test_regression_then_the_rest_of_hold_out_show_that_scores_are_not_lower() -> None:
    course = gate(HOLD_OUT[:60], REGRESSION[:8], 4)
    proof = [Pair(f"h{n}", True, False, True, 0.55, 0.6) for n in range(12)]
    course.add(HOLD_OUT[:12], proof)
    assert course.proven
    assert not not_inferior(course.pairs)
    run = ask(course, BOTH)
    assert run[12:24] == [*REGRESSION[:8], *HOLD_OUT[12:16]]
    assert not_inferior(course.pairs)
    assert not any(pair.hold_out for pair in course.pairs[12:])


def test_a_proof_that_lacks_cases_waits_for_approval() -> None:
    course = gate(HOLD_OUT[:12], REGRESSION[:3], 4)
    course.add(HOLD_OUT[:12], [Pair(f"h{n}", True, False, True, 0.55, 0.6) for n in range(12)])
    assert ask(course, BOTH) == HOLD_OUT[:12]
    assert course.stopped() == because("cannot_show_not_inferior", left=3)
    decided = course.decision()
    assert (decided.verdict, decided.reason["code"]) == ("undecided", "may_score_lower")


def test_scores_that_fall_end_a_gate_before_its_cases_do() -> None:
    course = gate(HOLD_OUT, REGRESSION, 4)
    course.add(HOLD_OUT[:12], [Pair(f"h{n}", True, False, True, 0.59, 0.6) for n in range(12)])
    while batch := course.next():
        course.add(batch, [Pair(each, False, True, True, 0.9, 0.6) for each in batch])
    assert len(course.run) < 40
    assert course.stopped()["code"] == "cannot_show_not_inferior"
    assert course.decision().verdict == "rejected"


def test_a_case_without_a_verdict_is_run_once() -> None:
    course = gate(HOLD_OUT[:30], REGRESSION, 4)
    run = ask(course, NOTHING, *[GAIN] * 11, BOTH)
    assert len(run) == len(set(run))
    assert len(course.pairs) == len(run) - 1


def test_too_few_hold_out_cases_are_not_even_begun() -> None:
    course = gate(HOLD_OUT[:8], REGRESSION, 3)
    assert ask(course, GAIN) == []
    assert course.stopped()["values"] == {"left": 8}


def test_held_out_cases_run_by_turns() -> None:
    cases = [*(f"h{number}" for number in range(0, 40, 4)), "h1", "h2", "h3", "h5"]
    course = gate(cases, REGRESSION, 4, kinds=4)
    assert course.cases.hold_out[:6] == ["h0", "h1", "h2", "h3", "h4", "h5"]


def test_a_slice_that_is_lost_needs_approval_and_is_named() -> None:
    """The incumbent passes kind0 alone, and the candidate everything else."""
    course = gate(HOLD_OUT, REGRESSION, 4, kinds=5)
    while batch := course.next():
        held = not course.proven
        fates = [LOSS if course.cases.slices[case] == "kind0" else GAIN for case in batch]
        pairs = [pair_of(case, fate, held) for case, fate in zip(batch, fates, strict=True)]
        course.add(batch, [pair for pair in pairs if pair])
    decided = course.decision()
    assert (decided.verdict, decided.reason) == (
        "undecided",
        because("slices_lost", slices=["kind0"]),
    )
    lost = next(each for each in report(course, 1)["slices"] if each["name"] == "kind0")
    assert (lost["finding"], lost["losses"], lost["e_value"] >= 20) == ("lost", lost["pairs"], True)


def test_where_everything_fails_slices_need_no_more_cases() -> None:
    course = gate(HOLD_OUT, REGRESSION, 4, kinds=12)
    assert ask(course, GAIN) == HOLD_OUT[:12]


def test_the_running_e_value_ends_with_that_of_the_decision() -> None:
    course = gate(HOLD_OUT, REGRESSION, 4)
    ask(course, LOSS, *[GAIN] * 20, BOTH)
    reported = report(course, 1)
    results = reported["pair_results"]
    assert [each["case_id"] for each in results] == [p.case_id for p in course.pairs]
    assert results[-1]["e_value"] == reported["e_value"]
    spent = report(course, 1, budget_spent=True)
    decision = because("budget_exhausted_before_end", decision=reported["reason"])
    assert (spent["reason"], spent["stopped"]) == (decision, because("budget_exhausted"))
    assert (spent["budget_spent"], reported["budget_spent"]) == (True, False)


@given(
    st.lists(st.sampled_from([GAIN, LOSS, BOTH, NEITHER, NOTHING]), min_size=1, max_size=150),
    st.integers(1, 9),
    st.integers(0, 150),
    st.integers(0, 40),
    st.integers(1, 12),
    st.integers(0, 200),
)
def test_whatever_happens_it_ends_and_never_counts_a_case_twice(
    fates: list[str], width: int, held: int, regression: int, kinds: int, affordable: int
) -> None:
    course = gate(HOLD_OUT[:held], REGRESSION[:regression], width, kinds=kinds)
    run = ask(course, *fates, affordable=affordable)
    assert len(run) == len(set(run))
    counted = [pair.case_id for pair in course.pairs]
    assert len(counted) == len(set(counted))
    assert course.next() == []
    assert course.stopped()
    assert sum(pair.hold_out for pair in course.pairs) <= max(affordable, FIRST_CASES)
    if not superior(course.pairs, course.needed):
        assert all(pair.hold_out for pair in course.pairs)


def lost(case: str, *again: bool | None) -> Pair:
    return Pair(case, False, True, False, 1, 0, again)


def proven(pinned: list[str]) -> GateTest:
    """Return a gate with its proof and enough pairs, but for what was healed before."""
    course = gate(HOLD_OUT, REGRESSION, 4, pinned)
    course.add(HOLD_OUT[:40], [Pair(each, True, False, True, 0, 1) for each in HOLD_OUT[:40]])
    return course


def test_what_was_healed_before_is_asked_about_though_there_are_enough_pairs() -> None:
    healed = [f"r{number}" for number in range(15)]
    course = proven(healed)
    assert ask(course, BOTH)[40:] == healed[:12]
    assert course.stopped() == because("proven_and_not_inferior")


def test_a_proof_that_the_budget_cut_short_before_that_waits_for_a_person() -> None:
    course = proven(REGRESSION[:5])
    assert report(course, 1)["verdict"] == "accepted"
    assert report(course, 1, budget_spent=True)["verdict"] == "undecided"


def test_one_that_is_lost_for_good_ends_a_gate() -> None:
    for shortening in (False, True):
        course = gate(HOLD_OUT, REGRESSION, 4, shortening=shortening)
        pairs = [Pair("h1", True, False, True, 0, 1), lost("h0", True, False)]
        course.add(HOLD_OUT[:4], pairs)
        assert course.next() == []
        assert course.stopped() == because("healed_case_lost", case_id="h0", takes=3)
        assert (course.decision().verdict, course.decision().reason) == (
            "rejected",
            course.stopped(),
        )


def test_shortening_runs_first_what_was_healed_before() -> None:
    course = gate(HOLD_OUT, REGRESSION, 4, REGRESSION[2:4], shortening=True)
    assert ask(course, BOTH)[:5] == ["r2", "r3", "h0", "h1", "h2"]
    assert len(course.pairs) == FIXED_PAIRS
