"""The order in which a gate asks, and where it stops, whatever the cases come to."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from selfheal.db.reasons import because
from selfheal.optimizer.policy.noninferiority import gate_test
from selfheal.optimizer.policy.sequential_test import GateCases, GateTest, report
from selfheal.optimizer.policy.superiority import FEWEST_PAIRS, MOST_CASES, Pair, superior
from selfheal.optimizer.statistics import hopeless

HOLD_OUT = [f"h{number}" for number in range(70)]
REGRESSION = [f"r{number}" for number in range(40)]
GAIN, LOSS, BOTH, NOTHING = "gain", "loss", "both", "nothing"


def gate(
    hold_out: Sequence[str],
    regression: Sequence[str],
    width: int,
    pinned: Sequence[str] = (),
    *,
    shortening: bool = False,
) -> GateTest:
    return gate_test(GateCases(hold_out, regression, pinned), width, shortening=shortening)


def ask(course: GateTest, *fates: str) -> list[str]:
    """Run a gate to its end, with one fate after another for its cases, then the last."""
    asked: list[str] = []
    left = list(fates)
    while batch := course.next():
        held = not course.proven
        pairs = []
        for case in batch:
            fate = left.pop(0) if len(left) > 1 else left[0]
            old, new = fate in (LOSS, BOTH), fate in (GAIN, BOTH)
            if fate != NOTHING:
                pairs.append(Pair(case, held, old, new, float(old), float(new)))
        course.add(len(batch), pairs)
        asked += batch
    return asked


def test_it_stops_when_all_is_proven_over_enough_pairs() -> None:
    course = gate(HOLD_OUT, REGRESSION, 4)
    asked = ask(course, GAIN)
    assert asked == [*HOLD_OUT[:12], *REGRESSION[:20]]
    assert (len(course.pairs), course.cases_run) == (32, 32)
    assert course.stopped() == because("proven_over_enough_pairs")
    assert [pair.hold_out for pair in course.pairs] == [True] * 12 + [False] * 20


def test_it_stops_where_no_outcome_could_prove_it() -> None:
    course = gate(HOLD_OUT[:12], REGRESSION, 4)
    assert ask(course, LOSS) == HOLD_OUT[:4]
    assert hopeless(0, 4, 8)
    assert course.stopped() == because("cannot_prove_with_cases_left", left=8)


def test_a_candidate_that_changes_nothing_is_soon_given_up() -> None:
    course = gate(HOLD_OUT, REGRESSION, 4)
    assert ask(course, BOTH) == HOLD_OUT[:20]
    assert course.stopped() == because("cannot_prove_at_this_rate", left=40)


def test_it_ends_with_the_hold_out_cases() -> None:
    long = gate(HOLD_OUT, REGRESSION, 7)
    assert ask(long, *[GAIN, *[BOTH] * 4] * 9, BOTH) == HOLD_OUT[:MOST_CASES]
    short = gate(HOLD_OUT[:12], REGRESSION, 3)
    assert ask(short, *[GAIN] * 9, BOTH) == HOLD_OUT[:12]
    assert short.stopped() == because("hold_out_exhausted")


def test_a_proof_without_enough_cases_says_so() -> None:
    course = gate(HOLD_OUT[:12], REGRESSION[:3], 4)
    assert ask(course, GAIN) == [*HOLD_OUT[:12], *REGRESSION[:3]]
    assert course.stopped() == because("proven_but_cases_exhausted")


def test_hold_out_cases_that_were_left_help_with_regression() -> None:
    """What gave no verdict the first time is looked up again; it gives none now either."""
    course = gate(HOLD_OUT[:30], [], 4)
    asked = ask(course, NOTHING, *[GAIN] * 11, BOTH)
    assert asked[:12] == HOLD_OUT[:12]
    assert asked[12:16] == ["h0", *HOLD_OUT[12:15]]
    assert len(course.pairs) == FEWEST_PAIRS


def test_too_few_hold_out_cases_are_not_even_begun() -> None:
    course = gate(HOLD_OUT[:8], REGRESSION, 3)
    assert ask(course, GAIN) == []
    assert course.stopped()["values"] == {"left": 8}


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
    st.lists(st.sampled_from([GAIN, LOSS, BOTH, NOTHING]), min_size=1, max_size=100),
    st.integers(1, 9),
    st.integers(0, 70),
    st.integers(0, 40),
)
def test_whatever_happens_it_ends_and_never_counts_a_case_twice(
    fates: list[str], width: int, held: int, regression: int
) -> None:
    course = gate(HOLD_OUT[:held], REGRESSION[:regression], width)
    asked = ask(course, *fates)
    assert len(asked) == course.cases_run
    counted = [pair.case_id for pair in course.pairs]
    assert len(counted) == len(set(counted))
    assert course.next() == []
    assert course.stopped()
    assert sum(pair.hold_out for pair in course.pairs) <= MOST_CASES
    if not superior(course.pairs):
        assert all(pair.hold_out for pair in course.pairs)


def lost(case: str, *again: bool | None) -> Pair:
    return Pair(case, False, True, False, 1, 0, again)


def proven(pinned: list[str]) -> GateTest:
    """Return a gate with its proof and enough pairs, but for what was healed before."""
    course = gate(HOLD_OUT, REGRESSION, 4, pinned)
    course.add(40, [Pair(each, True, False, True, 0, 1) for each in HOLD_OUT[:40]])
    return course


def test_what_was_healed_before_is_asked_about_though_there_are_enough_pairs() -> None:
    healed = [f"r{number}" for number in range(15)]
    course = proven(healed)
    assert ask(course, BOTH) == healed[:12]
    assert course.stopped() == because("proven_over_enough_pairs")


def test_a_proof_that_the_budget_cut_short_before_that_waits_for_a_person() -> None:
    course = proven(REGRESSION[:5])
    assert report(course, 1)["verdict"] == "accepted"
    assert report(course, 1, budget_spent=True)["verdict"] == "undecided"


def test_one_that_is_lost_for_good_ends_a_gate() -> None:
    for shortening in (False, True):
        course = gate(HOLD_OUT, REGRESSION, 4, shortening=shortening)
        course.add(4, [Pair("h1", True, False, True, 0, 1), lost("h0", True, False)])
        assert course.next() == []
        assert course.stopped() == because("healed_case_lost", case_id="h0", takes=3)
        assert (course.decision().verdict, course.decision().reason) == (
            "rejected",
            course.stopped(),
        )


def test_shortening_runs_first_what_was_healed_before() -> None:
    course = gate(HOLD_OUT, REGRESSION, 4, REGRESSION[2:4], shortening=True)
    assert ask(course, BOTH)[:5] == ["r2", "r3", "h0", "h1", "h2"]
    assert len(course.pairs) == FEWEST_PAIRS
