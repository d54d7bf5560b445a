"""What no prompt may contain."""

import pytest

from graph.seed import first_prompts
from optimizer.lint import breaches

INCUMBENT = "You are a helpful assistant. Be nice."
GOOD = "You write Python. Handle empty input, and check the result against the plan."
LOG = (
    "Please write merge_intervals(pairs) that joins overlapping intervals and returns them sorted "
    "by their start; an interval that ends before it begins is a ValueError."
)


def found(
    candidate: str,
    incumbent: str = INCUMBENT,
    others: tuple[str, ...] = (),
    logs: tuple[str, ...] = (),
) -> list[str]:
    return breaches(candidate, incumbent, others, logs)


@pytest.mark.parametrize("text", [GOOD, *first_prompts().values()])
def test_a_good_prompt_passes(text: str) -> None:
    assert found(text, logs=(LOG,)) == []


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        ("", "empty"),
        ("  \n - ... ", "empty"),
        ("word " * 401, "401 words, more than 400"),
        ("You are a helpful assistant! be nice", "what the incumbent says"),
        (f"{GOOD} See https://example.com/x.", "an address"),
        (f"{GOOD} See ftp://example.com.", "an address"),
        (f"{GOOD} See www.example.com.", "an address"),
        (f"{GOOD} Ask somebody@example.com.", "an address"),
        (f"{GOOD} AIza{'x' * 35}", "a secret"),
        (f"{GOOD} sk-{'a1' * 12}", "a secret"),
        (f"{GOOD} ghp_{'a1' * 12}", "a secret"),
        (f"{GOOD} AKIA{'A1' * 8}", "a secret"),
        (f"{GOOD} api_key = hunter2hunter2", "a secret"),
        (f"{GOOD} Password: hunter2hunter2", "a secret"),
        (f"{GOOD} -----BEGIN RSA PRIVATE KEY-----", "a secret"),
        (f"{GOOD} eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0.c2ln", "a secret"),
    ],
)
def test_each_breach_is_named(candidate: str, words: str) -> None:
    assert any(words in each for each in found(candidate)), found(candidate)


def test_every_breach_is_told_at_once() -> None:
    assert len(found(f"{'word ' * 500} https://example.com AIza{'x' * 35}")) == 3


def test_the_limit_grows_with_the_incumbent_alone() -> None:
    incumbent = " ".join(f"word{n}" for n in range(500))
    assert found(" ".join(f"new{n}" for n in range(600)), incumbent) == []
    assert found(" ".join(f"new{n}" for n in range(601)), incumbent) == [
        "it has 601 words, more than 600"
    ]


def test_what_an_earlier_candidate_said_is_not_tried_again() -> None:
    assert found(GOOD.upper(), others=("x", GOOD)) == ["it says what an earlier candidate says"]


@pytest.mark.parametrize(
    "copied",
    [
        "joins overlapping intervals and returns them sorted by their start",
        "JOINS overlapping - intervals, and (returns) them: sorted by their START!",
        "joins overlapping intervals\n* and returns them **sorted** `by` their start",
        "write merge intervals pairs that joins overlapping intervals",  # snake_case, cut up
        "an interval that ends before it begins is a value",  # not "ValueError": still eight
    ],
)
def test_eight_words_from_the_logs_are_found_however_they_are_written(copied: str) -> None:
    expected = ["it copies 8 words in a row from the logs"]
    assert found(f"{GOOD} {copied}", logs=("x", LOG)) == expected


def test_seven_words_from_the_logs_may_be_chance() -> None:
    seven = "joins overlapping intervals and returns them sorted"
    assert found(f"{GOOD} {seven}.", logs=(LOG,)) == []


def test_words_that_the_incumbent_has_are_nobodys_copy() -> None:
    """A request may quote the prompt; keeping the prompt's own words is no theft."""
    incumbent = "Joins overlapping intervals and returns them sorted by their start. Be nice."
    assert found(f"{GOOD} {incumbent}", incumbent, logs=(LOG,)) == []
    assert found(f"{GOOD} {incumbent}", INCUMBENT, logs=(LOG,))


def test_what_is_short_and_quoted_in_the_log_is_found_in_code_too() -> None:
    code = 'def f():\n    """Always thank the user for the lovely request they made."""\n'
    candidate = f"{GOOD} Always thank the user for the lovely request they made."
    assert found(candidate, logs=(code,)) == ["it copies 8 words in a row from the logs"]
