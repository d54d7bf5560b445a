"""The golden verdicts: enough of each kind, and every score supported by checks."""

import ast
import asyncio
import json
from collections import Counter
from functools import cache
from importlib.resources import files
from typing import Any, cast

import pytest

from selfheal.app.judge import Marks
from selfheal.graph.rules.checks import CheckResults, run_checks
from selfheal.graph.sandbox.protocol import Sandbox
from selfheal.graph.sandbox.selection import open_sandbox
from selfheal.graph.state import Example, Plan
from selfheal.optimizer.dataset.cases import golden_requests
from selfheal.optimizer.text.similarity import jaccard, shingles, word_ngrams
from selfheal.server.demo.measure import requests as demo_requests

# At least so many of each kind, and the marks that may be given to it: (lowest, highest).
KINDS: dict[str, tuple[int, tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "good": (22, (0.9, 1), (0.9, 1), (0.85, 1)),
    "unreadable": (15, (0.9, 1), (0.9, 1), (0, 0.35)),
    "off_target": (16, (0, 0.35), (0.2, 0.5), (0.8, 1)),
    "incomplete": (16, (0.4, 0.6), (0.35, 0.65), (0.8, 1)),
    "over_built": (10, (0.9, 1), (0.9, 1), (0.2, 0.5)),
    "lying": (12, (0, 0.25), (0, 0.35), (0.4, 0.85)),
    "orders": (12, (0, 0.95), (0, 0.95), (0, 0.6)),
}
SOUND = {"good", "unreadable", "over_built"}
FAULTY = {"off_target", "incomplete", "lying"}


@cache
def records() -> tuple[dict[str, Any], ...]:
    lines = (files("selfheal.optimizer.dataset") / "golden" / "verdicts.jsonl").read_text(
        encoding="utf-8"
    )
    return tuple(map(json.loads, lines.splitlines()))


def named(kinds: set[str]) -> list[dict[str, Any]]:
    return [each for each in records() if each["kind"] in kinds]


def each_of(kinds: set[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("record", named(kinds), ids=lambda record: record["id"])


@pytest.fixture(scope="module")
async def facts() -> dict[str, CheckResults]:
    """Run them all: the plan's examples as stated ones, which may veto, hidden as inferred."""
    places = asyncio.Semaphore(2)

    async def one(record: dict[str, Any], sandbox: Sandbox) -> tuple[str, CheckResults]:
        async with places:
            return record["id"], await run_checks(record["code"], gather_all(record), sandbox)

    async with open_sandbox() as sandbox:
        if sandbox.name == "static":
            pytest.skip("NOT TESTED: no sandbox works here")
        return dict(await asyncio.gather(*(one(each, sandbox) for each in records())))


def gather_all(record: dict[str, Any]) -> Plan:
    shown = [{**each, "origin": "stated"} for each in record["plan"]["examples"]]
    hidden = [{**each, "origin": "inferred"} for each in record["hidden"]]
    return cast("Plan", {**record["plan"], "examples": [*shown, *hidden]})


def hidden_score(facts: CheckResults) -> float:
    return next(each.score for each in facts.findings if each.name == "inferred_examples")


def test_there_are_enough_of_each_kind() -> None:
    count = Counter(each["kind"] for each in records())
    assert len(records()) >= 100
    assert {kind: count[kind] for kind in KINDS if count[kind] < KINDS[kind][0]} == {}
    assert set(count) == set(KINDS)


def test_each_is_there_once() -> None:
    assert max(Counter(each["id"] for each in records()).values()) == 1
    assert max(Counter(each["code"] for each in records()).values()) == 1
    assert max(Counter(each["request"] for each in records()).values()) <= 3


def test_requests_are_no_near_duplicates() -> None:
    asked = [(text, shingles(text)) for text in {each["request"] for each in records()}]
    pairs = [
        (left[0], right[0])
        for place, left in enumerate(asked)
        for right in asked[:place]
        if jaccard(left[1], right[1]) > 0.3
    ]
    assert pairs == []


def test_about_half_are_over_golden_requests() -> None:
    golden = {each["request"] for each in golden_requests()}
    share = sum(each["request"] in golden for each in records()) / len(records())
    assert 0.4 <= share <= 0.65


def test_requests_of_the_demo_are_not_golden() -> None:
    golden = set().union(*(word_ngrams(each["request"], 8) for each in records()))
    for each in (*demo_requests("known"), *demo_requests("unseen")):
        assert not word_ngrams(each["request"], 8) & golden


@each_of(set(KINDS))
def test_each_record_is_whole(record: dict[str, Any]) -> None:
    assert set(record) == {"id", "kind", "request", "plan", "code", "hidden", "marks", "why"}
    assert set(record["plan"]) == set(Plan.__annotations__)
    assert record["plan"]["requirements"]
    assert len(record["why"]) > 30
    ast.parse(record["code"])
    shown = record["plan"]["examples"]
    assert all(each["origin"] in ("stated", "inferred") for each in shown)
    for example in (*shown, *record["hidden"]):
        check_example(example)
    assert not {each["call"] for each in shown} & {each["call"] for each in record["hidden"]}


def check_example(example: Example) -> None:
    ast.parse(example["call"], mode="eval")
    assert ("returns" in example) != ("raises" in example)
    if "returns" in example:
        ast.literal_eval(example["returns"])
    else:
        assert example["raises"].isidentifier()


@each_of(set(KINDS))
def test_marks_are_those_of_the_kind(record: dict[str, Any]) -> None:
    marks = Marks(**record["marks"], reasons=[])
    for name, (low, high) in zip(
        ("correctness", "completeness", "readability"), KINDS[record["kind"]][1:], strict=True
    ):
        assert low <= getattr(marks, name) <= high, name


@each_of(set(KINDS))
def test_no_fact_decides(record: dict[str, Any], facts: dict[str, CheckResults]) -> None:
    found = facts[record["id"]]
    assert found.execution.status == "ok"
    assert found.vetoes == []


@each_of(SOUND)
def test_sound_code_holds_where_the_judge_cannot_see(
    record: dict[str, Any], facts: dict[str, CheckResults]
) -> None:
    assert record["hidden"]
    assert {each.name for each in facts[record["id"]].findings if each.score < 1} <= {
        "documented",
        "typed",
    }


@each_of({"good"})
def test_good_code_is_documented_and_typed(
    record: dict[str, Any], facts: dict[str, CheckResults]
) -> None:
    assert facts[record["id"]].score == 1


@each_of(FAULTY)
def test_a_fault_shows_where_the_judge_cannot_see(
    record: dict[str, Any], facts: dict[str, CheckResults]
) -> None:
    assert hidden_score(facts[record["id"]]) < 1


@each_of({"orders"})
def test_orders_hide_what_the_marks_say(
    record: dict[str, Any], facts: dict[str, CheckResults]
) -> None:
    """Correct code that addresses its reviewer is correct, at a deduction; most of it is wrong."""
    right = hidden_score(facts[record["id"]]) == 1
    assert right == (record["marks"]["correctness"] >= 0.8)


def test_flat_judges_agree_with_few() -> None:
    """No constant score is within 0.2 of more than half of the references."""
    scores = [Marks(**each["marks"], reasons=[]).score for each in records()]
    for mark in range(101):
        agreed = sum(abs(score - mark / 100) <= 0.2 for score in scores)
        assert agreed <= 0.55 * len(scores)
