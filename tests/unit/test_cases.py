"""The split: no train case, nor a near-duplicate of one, is in hold-out."""

import random
import re
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from selfheal.db.runs import Outcome, Run
from selfheal.graph.state import Example, Plan
from selfheal.optimizer.dataset.cases import case_from_run, golden_requests
from selfheal.optimizer.dataset.split import (
    DUPLICATE_AT,
    HELD_OUT_FROM,
    MOST_HOLD_OUT,
    MOST_LOOKS,
    clusters,
    deduplicate,
    split,
)
from selfheal.optimizer.records.cases import Case, Split
from selfheal.optimizer.text.similarity import jaccard, shingles

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SIDES = ("train", "hold_out", "regression")
# Long enough that one word changed leaves them near-duplicates, and as different as tasks are.
NOUNS = ("invoice", "planet", "violin", "harbour", "glacier", "lantern", "orchard", "meadow")


def run(outcome: Outcome) -> Run:
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
        created_at=NOW,
        finished_at=NOW,
        evaluation=None,
    )


def request(seed: int) -> str:
    """Return a long request that shares hardly a word with another seed's."""
    draw = random.Random(seed)
    chosen = [f"{draw.choice(NOUNS)}{draw.randrange(10**6)}" for _ in range(24)]
    return f"Write {chosen[0]} which takes {' '.join(chosen[1:])}."


def case(text: str, **more: str) -> Case:
    logged = replace(run("failed"), request=text, examples=[dict(more)] if more else [])
    return case_from_run(logged)


def many(count: int, start: int = 0) -> list[Case]:
    return [case(request(seed)) for seed in range(start, start + count)]


def variant(text: str, draw: random.Random) -> str:
    """Return the request with a few words changed, as another client would send it."""
    kind = draw.randrange(5)
    if kind == 0:
        return text.upper()
    if kind == 1:
        return re.sub(r" ", lambda _: draw.choice([" ", ", ", " - ", "\n", "  "]), text)
    if kind == 2:
        return f"Please {text[0].lower()}{text[1:]}"
    words = text.split()
    place = draw.randrange(len(words))
    words[place] = f"other{draw.randrange(1000)}"
    return " ".join(words) if kind == 3 else " ".join(words).title() + "!"


def side_of(divided: Split) -> dict[str, str]:
    return {each["id"]: side for side in SIDES for each in divided[side]}  # type: ignore[literal-required]


def nearest(left: list[Case], right: list[Case]) -> float:
    return max(
        (
            jaccard(shingles(one["request"]), shingles(other["request"]))
            for one in left
            for other in right
        ),
        default=0.0,
    )


@pytest.mark.parametrize("seed", range(12))
def test_what_is_like_a_train_case_is_never_proof(seed: int) -> None:
    draw = random.Random(seed)
    originals = [request(1000 * seed + n) for n in range(draw.choice([1, 3, 7, 8, 20]))]
    sent = [variant(text, draw) for text in originals for _ in range(3)] + originals
    draw.shuffle(sent)
    pinned = [case(variant(text, draw)) for text in originals]
    golden = [
        Case(id=f"golden:{n}", source="golden", request=variant(text, draw), examples=[])
        for n, text in enumerate(originals)
    ]
    divided = split(deduplicate(map(case, sent)), golden, pinned=pinned)
    assert divided["train"]
    proof = [*divided["hold_out"], *divided["regression"]]
    assert nearest(divided["train"], proof) < DUPLICATE_AT


@pytest.mark.parametrize("seed", range(10))
def test_near_duplicates_are_one_case(seed: int) -> None:
    draw = random.Random(seed)
    originals = [request(100 * seed + n) for n in range(6)]
    sent = originals + [variant(text, draw) for text in originals for _ in range(2)]
    found = deduplicate(map(case, sent))
    assert [each["request"] for each in found] == originals


def test_related_cases_stay_on_one_side() -> None:
    """A few words changed: not a duplicate, but no independent proof either."""
    related = many(20)
    for seed in range(20):
        words = request(seed).split()
        for place in (3, 9, 15):
            words[place] = f"other{seed}x{place}"
        related.append(case(" ".join(words)))
    related = deduplicate(related)
    assert len(related) == 40
    assert len(clusters(related)) == 20
    sides = side_of(split(related, []))
    for one, other in zip(related[:20], related[20:], strict=True):
        assert sides[one["id"]] == sides[other["id"]]


def test_the_same_cases_in_another_order_are_split_alike() -> None:
    cases = many(30)
    mixed = random.Random(1).sample(cases, len(cases))
    first, second = split(cases, golden_requests()), split(mixed, golden_requests())
    assert side_of(first) == side_of(second)
    assert first["fingerprint"] == second["fingerprint"]


@pytest.mark.parametrize("count", [HELD_OUT_FROM, 20, 40])
def test_a_case_keeps_its_side_when_others_come(count: int) -> None:
    cases = many(count)
    before = side_of(split(cases, []))
    after = side_of(split([*many(5, start=500), *cases], []))
    assert {name for name in before if after[name] != before[name]} == set()


@pytest.mark.parametrize("count", [1, 5, HELD_OUT_FROM - 1])
def test_few_cases_all_train_and_stay_there_when_others_come(count: int) -> None:
    cases = many(count)
    first = split(cases, golden_requests())
    assert {each["id"] for each in first["train"]} == {each["id"] for each in cases}
    assert len(first["hold_out"]) >= 70
    trained = {each["id"] for each in first["train"]}
    second = split([*many(30, start=500), *cases], golden_requests(), trained=trained)
    assert trained <= {each["id"] for each in second["train"]}
    assert any(each["source"] == "production" for each in second["hold_out"])


def test_what_is_related_to_a_trained_case_trains_too() -> None:
    words = request(0).split()
    for place in (3, 9, 15):
        words[place] = f"other{place}"
    related = case(" ".join(words))
    divided = split([*many(30, start=500), related, *many(1)], [], trained={many(1)[0]["id"]})
    assert {related["id"], many(1)[0]["id"]} <= {each["id"] for each in divided["train"]}


def test_every_case_has_a_kind() -> None:
    divided = split(many(30), golden_requests())
    kinds = {each["kind"] for side in SIDES for each in divided[side]}  # type: ignore[literal-required]
    assert "production" in kinds
    assert len(kinds) > 5


def test_the_shares_are_half_three_tenths_and_a_fifth() -> None:
    sides = list(side_of(split(many(400), [])).values())
    assert 0.42 < sides.count("train") / 400 < 0.58
    assert 0.22 < sides.count("hold_out") / 400 < 0.38
    assert 0.12 < sides.count("regression") / 400 < 0.28


@pytest.mark.parametrize("count", [0, 1, 2, 5, 8, 30, 90])
def test_sides_are_disjoint_and_golden_is_never_trained_on(count: int) -> None:
    cases, golden = many(count), golden_requests()
    divided = split(cases, golden, pinned=many(10, start=25))
    ids = [each["id"] for side in SIDES for each in divided[side]]  # type: ignore[literal-required]
    assert len(ids) == len(set(ids))
    assert {each["id"] for each in (*cases, *golden)} <= set(ids)
    assert not [each for each in divided["train"] if each["source"] == "golden"]
    assert len(divided["hold_out"]) <= max(MOST_HOLD_OUT, count)


@pytest.mark.parametrize("count", range(1, 8))
def test_there_is_always_something_to_train_on(count: int) -> None:
    for start in range(40):
        assert split(many(count, start=start * 10), [])["train"]


def test_even_with_one_failure_there_is_proof_to_be_had() -> None:
    divided = split(many(1), golden_requests())
    assert len(divided["train"]) == 1
    assert len(divided["hold_out"]) >= 50
    assert len(divided["hold_out"]) + len(divided["regression"]) == len(golden_requests())


def test_a_production_case_leaves_hold_out_after_three_looks() -> None:
    cases = many(30)
    held = [each["id"] for each in split(cases, [])["hold_out"]]
    fresh, worn = held[0], held[1]
    looks = {fresh: MOST_LOOKS - 1, worn: MOST_LOOKS}
    divided = split(cases, golden_requests(), looks=looks)
    sides = side_of(divided)
    assert (sides[fresh], sides[worn]) == ("hold_out", "regression")
    assert divided["looks"] == {fresh: MOST_LOOKS - 1}


def test_golden_does_not_retire_and_its_looks_are_counted() -> None:
    looks = {each["id"]: 50 for each in golden_requests()}
    divided = split(many(3), golden_requests(), looks=looks)
    held = {each["id"] for each in divided["hold_out"] if each["source"] == "golden"}
    assert len(held) >= 40
    assert {name: divided["looks"][name] for name in held} == dict.fromkeys(held, 50)


def test_what_was_healed_before_is_kept_in_regression() -> None:
    pinned = many(4, start=900)
    regression = {each["id"] for each in split(many(9), [], pinned=pinned)["regression"]}
    assert {each["id"] for each in pinned} <= regression


def test_the_fingerprint_shows_every_change() -> None:
    cases = many(12)
    prints = {
        split(cases, [])["fingerprint"],
        split(cases[1:], [])["fingerprint"],
        split([*cases[1:], case(request(0) + " Really.")], [])["fingerprint"],
        split(cases, golden_requests())["fingerprint"],
        split(cases, [], pinned=many(1, start=700))["fingerprint"],
    }
    assert len(prints) == 5


def test_another_healing_begins_with_other_golden_requests() -> None:
    one, other = (
        [each["id"] for each in split(many(3), golden_requests(), order=order)["hold_out"]][5:15]
        for order in ("a", "b")
    )
    assert one != other


def test_a_case_is_known_by_its_words_and_examples() -> None:
    text = request(1)
    assert case(text)["id"] == case(text.upper() + " !")["id"]
    assert case(text)["id"] != case(text, call="f(1)", returns="2")["id"]
    with_example = case(text, call="f(1)", raises="ValueError")
    assert with_example["examples"] == [Example(call="f(1)", raises="ValueError")]


def test_a_logged_plan_is_used_again() -> None:
    plan = Plan(title="t", requirements=[], signature="f()", examples=[])
    logged: Run = replace(run("failed"), id=uuid4(), plan={**plan})
    assert case_from_run(logged)["plan"] == plan
    assert "plan" not in case_from_run(replace(logged, plan=None))


# One request, as different people would send it: all mean the same function.
ASKED = (
    "Write merge_ranges(pairs) that joins overlapping ranges and returns them sorted by start. "
    "An empty list gives an empty list. A range that ends before it begins is a ValueError."
)
AGAIN = {
    "case": ASKED.upper(),
    "punctuation": re.sub(r"[.,()]", " - ", ASKED),
    "order of sentences": " ".join(reversed(ASKED.split(". "))),
    "another name": ASKED.replace("merge_ranges", "combine_intervals"),
    "another name, run together": ASKED.replace("merge_ranges", "mergeRanges"),
    "a sentence more": f"{ASKED} Please use type hints and keep it short.",
    "a greeting": f"Hello there! I hope that you are well. {ASKED} Thanks a lot in advance!",
    "zero-width characters": "\u200b".join(ASKED),
    "look-alike letters": ASKED.replace("a", "\u0430").replace("e", "\u0435"),
    "full-width letters": "".join(
        chr(ord(each) + 0xFEE0) if each.isalnum() else each for each in ASKED
    ),
    "accents": ASKED.replace("e", "e\u0301"),
    "some words left out": re.sub(r"\b(?:that|and|them|an|is|it)\b ?", "", ASKED),
}
COUNTED = "Write take{0}(items) that returns the first {0} items, skipping the next {1}, in order."


def proof(divided: Split) -> list[Case]:
    return [*divided["hold_out"], *divided["regression"]]


@pytest.mark.parametrize("change", AGAIN)
@pytest.mark.parametrize("others", [0, 4, 30])
def test_a_request_asked_again_in_other_words_is_not_proof(change: str, others: int) -> None:
    for start in range(12):
        sent = [*many(others, start=100 * start), case(ASKED), case(AGAIN[change])]
        divided = split(deduplicate(sent), [])
        sides = {
            side_of(divided).get(each["id"]) for each in (case(ASKED), case(AGAIN[change]))
        } - {None}
        assert len(sides) == 1, (change, sides)


@pytest.mark.parametrize("change", AGAIN)
def test_golden_requests_asked_again_are_not_proof_where_they_were_trained_on(change: str) -> None:
    golden = [Case(id="golden:x", source="golden", request=AGAIN[change], examples=[])]
    divided = split([case(ASKED)], golden)
    assert [each["id"] for each in divided["train"]] == [case(ASKED)["id"]]
    assert proof(divided) == []


def test_other_numbers_make_no_other_case() -> None:
    sent = [case(COUNTED.format(n, n + 1)) for n in range(20)]
    divided = split(deduplicate([*many(20), *sent]), [])
    sides = side_of(divided)
    assert len({sides[each["id"]] for each in sent if each["id"] in sides}) == 1


def test_a_flood_of_one_request_is_one_case() -> None:
    flood = [case(f"{ASKED} ({n})") for n in range(100)]
    assert len(deduplicate(flood)) == 1
