"""Plans that contradict their requests, detected without a model."""

from typing import cast

import pytest

from selfheal.graph.state import Plan
from selfheal.optimizer.policy.plan_check import contradicts, follows

REQUEST = "Write join_words(words, sep) which joins words."
STATED = {"call": "join_words(['a'], '-')", "returns": "'a'", "origin": "stated"}


def plan(signature: str, *examples: dict[str, str]) -> Plan:
    made = {"title": "t", "requirements": [], "signature": signature, "examples": [*examples]}
    return cast("Plan", made)


@pytest.mark.parametrize(
    "signature",
    [
        "join_words(words, sep)",
        "def join_words(words: list[str], sep: str = ', ') -> str",
        "def join_words(words, *, sep)",
        "join_words(*words)",
        "join_words(words, **options)",
        "def join_words(words, sep, extra=None):",
        "class join_words",
        "nothing that could be read",
        "",
    ],
)
def test_a_plan_that_can_be_called_as_stated_is_no_contradiction(signature: str) -> None:
    assert not contradicts(REQUEST, plan(signature, STATED))


@pytest.mark.parametrize("signature", ["combine(words, sep)", "join_words(words)", "join_words()"])
def test_another_name_or_too_few_parameters_contradict(signature: str) -> None:
    assert contradicts(REQUEST, plan(signature, STATED))


def test_inferred_examples_are_the_plans_own_and_prove_nothing() -> None:
    inferred = {**STATED, "origin": "inferred", "call": "combine(['a'], '-')"}
    assert contradicts(REQUEST, plan("combine(words, sep)", inferred))
    assert not contradicts("Join words.", plan("combine(words, sep)", inferred))


def test_a_call_may_leave_arguments_out_or_be_about_something_else() -> None:
    short = {**STATED, "call": "len(join_words(['a']))"}
    other = {**STATED, "call": "sorted([1], 'a', 'b')"}
    assert not contradicts(REQUEST, plan("join_words(words, sep)", short, other))
    assert contradicts(REQUEST, plan("join_words(words)", short, other, STATED))


@pytest.mark.parametrize("call", ["f(", "", "join_words(*[1, 2, 3])", "join_words(**{})"])
def test_calls_that_cannot_be_counted_do_not_contradict(call: str) -> None:
    assert not contradicts(REQUEST, plan("join_words(words)", {**STATED, "call": call}))


def test_code_follows_a_plan_if_it_defines_what_it_names() -> None:
    wanted = plan("def combine(words, sep)")
    assert follows("import os\n\ndef combine(words, sep):\n    return ''", wanted)
    assert not follows("def combined(words):\n    pass", wanted)
    assert not follows("", wanted)
    assert follows("class Queue:\n    pass", plan("class Queue"))
