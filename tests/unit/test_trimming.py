"""Which sentences a diet tries, what is left of the text, and what lets a shorter one pass."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.db.reasons import because
from selfheal.graph.prompts import first_prompts
from selfheal.optimizer.dataset.cases import golden_requests
from selfheal.optimizer.dataset.split import split
from selfheal.optimizer.policy.ablation import (
    MOST_GROUPS,
    Ablation,
    contender,
    half,
    nothing_removable,
    set_aside,
)
from selfheal.optimizer.policy.noninferiority import decide_harmless, gate_test
from selfheal.optimizer.policy.sequential_test import GateCases, GateTest
from selfheal.optimizer.policy.superiority import Pair
from selfheal.optimizer.text.sentences import remove_sentences, split_sentences

LIST = (
    'You cook.\n\n- Wash it. Cut it.\n- Salt it, e.g. with sea salt. Say "done." Then go.\n\nServe.'
)


def texts(text: str) -> list[str]:
    return [each.text for each in split_sentences(text, 20)]


def gone(text: str, *wanted: str) -> str:
    found = split_sentences(text, 20)
    return remove_sentences(
        found, {place for place, each in enumerate(found) if each.text in wanted}
    )


def test_a_prompt_is_cut_into_sentences() -> None:
    last = ["- Salt it, e.g. with sea salt.", 'Say "done."', "Then go.", "Serve."]
    assert texts(LIST) == ["You cook.", "- Wash it.", "Cut it.", *last]
    assert texts("Give:\n- a name. And\n1. Read it. 2. Go.") == [
        "Give:\n- a name.", "And", "1. Read it.", "2. Go."]  # fmt: skip


def test_what_is_left_is_well_formed() -> None:
    assert gone(LIST) == LIST
    assert gone(LIST, "- Wash it.") == LIST.replace("Wash it. ", "")
    assert gone(LIST, "- Wash it.", "Cut it.") == LIST.replace("- Wash it. Cut it.\n", "")
    assert gone(LIST, "Cut it.") == LIST.replace(" Cut it.", "")
    assert gone(LIST, "Then go.") == LIST.replace(" Then go.", "")
    assert gone(LIST, "Serve.", "You cook.").startswith("- Wash it. Cut it.\n- Salt")


@pytest.mark.parametrize("agent", ["manager", "worker"])
def test_our_own_prompts_can_be_cut(agent: str) -> None:
    text = first_prompts()[agent].strip()  # type: ignore[index]
    found = split_sentences(text, 20)
    assert 10 < len(found) <= 20
    assert remove_sentences(found, set()) == text
    assert remove_sentences(found, range(len(found))) == ""


@given(st.text(alphabet="ab.!? \n-*1)\"'", max_size=200))
def test_nothing_is_lost_by_cutting(text: str) -> None:
    found = split_sentences(text, 20)
    assert "".join(each.text + each.after for each in found) == text.strip()
    assert len(found) <= 20


def pair(old: float, new: float, case: str = "a", hold_out: bool = False) -> Pair:
    return Pair(case, hold_out, old > 0.5, new > 0.5, old, new)


Asked = Callable[[str], list[Pair]]


def walked(text: str, asked: Asked) -> Ablation:
    """Try a text; `asked` says what a shorter one comes to, two cases at a time."""
    made = Ablation("worker", text)
    while attempt := made.next():
        assert made.next() is attempt, "the same until it was answered"
        made.add(asked(attempt.proposal["text"]))
    assert made.next() is None
    return made


def missing(*missed: str) -> Asked:
    """Lose a case without any of these sentences."""
    return lambda text: [pair(1, 1), pair(1, all(each in text for each in missed))]


def fates(made: Ablation) -> list[tuple[list[int], str]]:
    return [(each["without"], each["fate"]) for each in made.proposals]


def test_unneeded_sentences_are_removed_together_and_the_rest_stays() -> None:
    made = walked("Be nice. Boil the eggs for long. Salt.", missing("Boil the eggs for long."))
    assert fates(made) == [([1], "screen"), ([0], ""), ([2], ""), ([0, 2], "")]
    assert made.proposals[0]["reason"] == because("cases_lost", lost=1, of=2)
    found = contender(made.proposals)
    assert found is not None
    assert (found["ordinal"], found["text"]) == (4, "Boil the eggs for long.")


def test_what_is_said_twice_goes_once() -> None:
    made = walked("Boil it. Boil that. Go.", lambda text: [pair(1, "Boil" in text)] * 2)
    assert fates(made)[3:] == [([0, 1, 2], "screen"), ([0, 1], "screen"), ([2], "")]
    found = contender(made.proposals)
    assert found is not None
    assert found["text"] == "Boil it. Boil that."


def test_a_single_one_goes_alone() -> None:
    made = walked("Boil it. Go.", lambda text: [pair(1, text == "Go.")] * 2)
    assert fates(made) == [([0], ""), ([1], "screen")]
    assert contender(made.proposals) == made.proposals[0]


def test_the_whole_prompt_never_goes_nor_what_always_has_to_stay() -> None:
    made = walked("Use no network. Go on.", missing())
    assert fates(made) == [([0], "lint"), ([1], "")]
    dropped = because("drops_requirement", requirement="Use no network.")
    kept = because("breaks_prompt_rules", violations=[dropped])
    assert made.proposals[0]["reason"] == kept
    both = walked("Go on. Stop.", missing())
    assert fates(both)[2:] == [([0, 1], "screen"), ([0], "")]
    assert fates(walked("Only this.", missing())) == [([0], "lint")]


def test_cases_that_fail_anyway_show_nothing() -> None:
    made = walked("Boil it. Go.", lambda _: [pair(0, 1), pair(0, 0)])
    reason = because("incumbent_passes_too_few", passed=0, of=6)
    assert all(each["reason"] == reason for each in made.proposals)
    assert contender(made.proposals) is None
    assert nothing_removable(made.proposals) == because(
        "no_sentence_removable", sentences=2, kept=0, missed=2
    )


def test_a_lower_score_counts_though_all_pass() -> None:
    made = walked("Boil it. Go.", lambda _: [pair(1, 0.9)] * 2)
    assert all(each["reason"] == because("scores_lower", by=0.1) for each in made.proposals)


def test_trying_ends_at_the_first_loss_and_after_some_groups() -> None:
    text = " ".join(f"Do this {number}." for number in range(20))
    tries = []

    def asked(shorter: str) -> list[Pair]:
        tries.append(shorter)
        return [pair(1, 1), pair(1, shorter.count("Do") == 19)]

    made = walked(text, asked)
    assert len(made.proposals) == 20 + MOST_GROUPS
    # Of three cases each, two at a time; without all of it there is nothing to try.
    assert len(tries) == 20 * 2 + MOST_GROUPS - 1
    assert contender(made.proposals) is None
    assert nothing_removable(made.proposals) == because(
        "no_sentences_removable_together", sentences=20, kept=0, missed=0
    )


def test_a_gate_that_rejects_is_followed_by_one_of_the_better_half() -> None:
    text = "Boil it now. Go. Stop."
    made = walked(text, missing("now"))
    last = made.proposals[-1]
    again = half("worker", text, made.proposals, last["ordinal"])
    assert again is not None
    assert (again["without"], again["text"]) == ([1], "Boil it now. Stop.")
    assert again["ordinal"] == last["ordinal"] + 1
    assert half("worker", text, [*made.proposals, again], again["ordinal"]) is None


def test_golden_requests_fill_up_train_and_are_asked_by_no_gate() -> None:
    before = split([], golden_requests())
    after = set_aside(before, 5)
    train = {case["id"] for case in after["train"]}
    assert len(train) == 5
    assert not train & {case["id"] for case in (*after["hold_out"], *after["regression"])}
    assert after["fingerprint"] != before["fingerprint"]


HOLD_OUT = [f"h{number}" for number in range(50)]
REGRESSION = [f"r{number}" for number in range(40)]


def gated(*scores: tuple[float, float]) -> GateTest:
    """Run a gate with these scores, one after another, then both at 1."""
    cases, left = GateCases(HOLD_OUT, REGRESSION), list(scores)
    course = gate_test(cases, 4, shortening=True)
    while batch := course.next():
        marks = [left.pop(0) if left else (1.0, 1.0) for _ in batch]
        pairs = [pair(*mark, case, True) for mark, case in zip(marks, batch, strict=True)]
        course.add(batch, pairs)
    return course


def test_a_gate_asks_about_sixty_pairs_and_does_not_stop_where_it_looks_well() -> None:
    course = gated()
    assert [each.case_id for each in course.pairs] == [*HOLD_OUT, *REGRESSION[:10]]
    assert course.decision().verdict == "accepted"
    assert course.stopped() == because("enough_pairs")


def test_a_gate_stops_at_harm() -> None:
    course = gated(*[(1, 0)] * 9)
    assert len(course.pairs) == 8  # five losses and no gain are beyond chance; four at a time
    assert (course.decision().verdict, course.stopped()) == ("rejected", because("harm_found"))


@pytest.mark.parametrize(
    ("pairs", "code", "figures"),
    [
        ([pair(1, 1)] * 59, "too_few_pairs_to_compare", {"pairs": 59, "needed": 60}),
        ([pair(0, 0)] * 32 + [pair(1, 1)] * 28, "incumbent_rate_too_low", {"rate": 0.4667}),
        ([pair(1, 0.88)] * 60, "shorter_may_score_lower", {"by": 0.12}),
        ([pair(1, 0)] * 4 + [pair(1, 1)] * 56, "shorter_may_score_lower", {"by": 0.1316}),
    ],
)
def test_what_is_not_shown_to_be_harmless_is_rejected(
    pairs: list[Pair], code: str, figures: dict[str, float]
) -> None:
    decided = decide_harmless(pairs)
    assert (decided.verdict, decided.reason["code"]) == ("rejected", code)
    assert figures.items() <= decided.reason["values"].items()


def test_an_empty_gate_is_rejected() -> None:
    assert decide_harmless([]).verdict == "rejected"
