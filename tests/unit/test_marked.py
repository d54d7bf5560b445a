"""The evaluator's cases: the split of programs with a known score."""

from collections import Counter
from dataclasses import replace
from uuid import uuid4

import pytest

from selfheal.optimizer.dataset.failure_digest import digest_labelled
from selfheal.optimizer.dataset.golden_verdicts import golden_verdicts
from selfheal.optimizer.dataset.labelled import (
    FEEDBACK,
    case_from_feedback,
    case_from_golden_verdict,
    split_labelled,
)
from selfheal.optimizer.dataset.split import similar_requests
from selfheal.optimizer.records.cases import Case, Split
from tests.unit.test_cases import request, run

SIDES = ("train", "hold_out", "regression")
GOLDEN = [case_from_golden_verdict(each) for each in golden_verdicts()]


def sides(divided: Split) -> dict[str, list[Case]]:
    return {side: divided[side] for side in SIDES}  # type: ignore[literal-required]


def people(count: int, mark: float = 0.5) -> list[Case]:
    plan = {"title": "", "requirements": [], "signature": "f()", "examples": []}
    logged = replace(run("ok"), plan=plan, code="def f(): ...")
    return [
        case_from_feedback(replace(logged, id=uuid4(), request=request(seed)), mark)
        for seed in range(count)
    ]


def test_every_kind_is_on_every_side() -> None:
    kinds = {each["kind"] for each in GOLDEN}
    for cases in sides(split_labelled(GOLDEN, [])).values():
        assert {each["kind"] for each in cases} == kinds


def test_sides_are_disjoint_and_whole() -> None:
    held = sides(split_labelled(GOLDEN, people(9)))
    ids = [each["id"] for cases in held.values() for each in cases]
    assert sorted(ids) == sorted({*ids})
    assert len(ids) == len(GOLDEN) + 9


def test_there_is_enough_to_prove_with() -> None:
    divided = split_labelled(GOLDEN, [])
    assert len(divided["hold_out"]) >= 30
    assert len(divided["hold_out"]) + len(divided["regression"]) >= 50
    assert len(divided["train"]) >= 30


def test_programs_for_one_request_stay_together() -> None:
    held = sides(split_labelled(GOLDEN, []))
    side_of = {(each["request"], side) for side, cases in held.items() for each in cases}
    assert max(Counter(request for request, _ in side_of).values()) == 1


def test_kinds_take_turns() -> None:
    for cases in sides(split_labelled(GOLDEN, people(20))).values():
        kinds = len({each["kind"] for each in cases})
        assert len({each["kind"] for each in cases[:kinds]}) == kinds


@pytest.mark.parametrize("gone", [0, 7, 50])
def test_a_case_keeps_its_side_whatever_else_there_is(gone: int) -> None:
    def side_of(divided: Split) -> dict[str, str]:
        return {each["id"]: side for side, cases in sides(divided).items() for each in cases}

    whole = side_of(split_labelled(GOLDEN, people(15)))
    fewer = side_of(split_labelled(GOLDEN[gone:], people(5)))
    assert {name: whole[name] for name in fewer} == fewer


def test_what_people_marked_is_no_near_duplicate() -> None:
    twice = [*people(4), *people(4, mark=0.9)]
    like_golden = {**people(1)[0], "id": "people:x", "request": GOLDEN[0]["request"] + " Please."}
    divided = split_labelled(GOLDEN, [*twice, like_golden])  # type: ignore[list-item]
    own = [each for cases in sides(divided).values() for each in cases if each["kind"] == FEEDBACK]
    assert len(own) == 4
    assert not any(similar_requests(one, other) for one in own for other in GOLDEN)


def test_looks_and_fingerprint_are_recorded() -> None:
    divided = split_labelled(GOLDEN, [])
    first = divided["hold_out"][0]["id"]
    seen = split_labelled(GOLDEN, [], {first: 2, divided["train"][0]["id"]: 5})
    assert seen["looks"] == {first: 2}
    assert seen["fingerprint"] == divided["fingerprint"]
    assert split_labelled(GOLDEN[1:], [])["fingerprint"] != divided["fingerprint"]


def test_the_diagnostician_sees_the_worst_errors_first() -> None:
    train = split_labelled(GOLDEN, [])["train"]
    worst = train[5]
    opinions = {each["id"].partition(":")[2]: each["mark"] for each in train[:10]}
    opinions[worst["id"].partition(":")[2]] = 1 - worst["mark"] if worst["mark"] != 0.5 else 0.0
    rows = digest_labelled(train, opinions)
    assert rows[0]["run_id"] == worst["id"]
    assert rows[0]["deserved"] == worst["mark"]
    assert len(rows) == 20
