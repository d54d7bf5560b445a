"""Reasons: closed codes, typed values, one sentence each, and no prose that decides anything."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import Any, get_args

import pytest

from selfheal.db.reasons import VALUES, Code, Reason, because, noted
from selfheal.optimizer.policy import detection
from selfheal.optimizer.wording import WORDING, sentence, worded

ROOT = Path(__file__).parents[2]
SAMPLES: dict[Any, Any] = {
    int: 3,
    str: "x",
    list: ["a", "b"],
    dict: {"code": "rejected", "values": {}},
}


def example(code: Code) -> Reason:
    """Return a reason of a code, with a made-up value of each declared type."""
    values = {name: SAMPLES[(get_args(kind) or (kind,))[0]] for name, kind in VALUES[code].items()}
    if "until" in values:
        values["until"] = "2026-11-27T09:05:00+00:00"
    return because(code, **values)


def test_every_code_has_values_and_a_sentence() -> None:
    assert set(get_args(Code)) == set(VALUES) == set(WORDING)
    assert list(get_args(Code)) == sorted(get_args(Code)), "in order, so that none is listed twice"


@pytest.mark.parametrize("code", get_args(Code))
def test_a_sentence_names_only_values_that_its_code_has(code: Code) -> None:
    named = {name for _, name, _, _ in Formatter().parse(WORDING[code]) if name is not None}
    assert named <= VALUES[code].keys()
    # A figure that no sentence shows would be stored for nothing.
    assert named == VALUES[code].keys(), "not shown"


@pytest.mark.parametrize("code", get_args(Code))
def test_every_reason_can_be_said_and_is_plain_json(code: Code) -> None:
    reason = example(code)
    said = sentence(reason)
    assert said
    assert not {"{", "}", "\n"} & set(said)
    assert json.loads(json.dumps(reason)) == reason
    assert worded(reason) == {"reason": said, "coded_reason": reason}


@pytest.mark.parametrize(
    "values",
    [{"lost": 1}, {"lost": 1, "of": "2"}, {"lost": 1, "of": 2, "more": 3}, {"lost": None, "of": 2}],
)
def test_a_reason_with_other_values_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="cases_lost"):
        because("cases_lost", **values)


def test_what_is_not_known_is_left_out_or_called_unknown() -> None:
    cause = because("note", text="too slow")
    assert sentence(because("rolled_back", cause=None)) == "rolled back"
    assert sentence(because("rolled_back", cause=cause)) == "rolled back: too slow"
    scores = because("canary_scores", runs=3, mean=0.1, lower=None)
    assert sentence(scores) == "3 runs, score difference +0.10 (at least unknown)"
    assert sentence(None) == ""
    assert (noted(""), noted("why")) == (None, because("note", text="why"))


def test_reasons_within_reasons_are_said_too() -> None:
    violations = [because("contains_secret"), because("untrusted_words", words=["os", "sys"])]
    said = sentence(because("breaks_prompt_rules", violations=violations))
    assert (
        said
        == "it contains what looks like a secret; it consists of words that few runs have: os, sys"
    )


def test_a_code_of_a_later_version_is_shown_as_it_is() -> None:
    later: Any = {"code": "more_is_known", "values": {"of": 2}}
    assert sentence(later) == "more_is_known {'of': 2}"


def calls_of(name: str) -> Iterator[tuple[str, ast.Call]]:
    """Yield all calls of a function in the product, with where they are."""
    for folder in ("app", "db", "graph", "optimizer", "server"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == name:
                    yield f"{file.relative_to(ROOT)}:{node.lineno}", node


def test_every_reason_that_is_made_has_the_values_of_its_code() -> None:
    """Not every branch is reached by a test: a wrong name would only show when it is."""
    made: set[Code] = set()
    for place, call in calls_of("because"):
        texts = {getattr(each, "value", None) for each in ast.walk(call.args[0])}
        for code in VALUES.keys() & texts:
            made.add(code)
            given = {each.arg for each in call.keywords}
            assert None in given or given == VALUES[code].keys(), (place, code)
    indirect: set[Code] = {"better_but_unproven", "not_shown_better"}  # see superiority._unproven
    indirect |= {"canary_scores", "canary_not_worse_in_a_day", "canary_undecided"}
    indirect |= {code for code, _ in detection.EVIDENCE.values()}
    assert made | indirect == VALUES.keys(), "a code that is never made"


def test_nothing_is_decided_by_the_words_of_a_reason() -> None:
    """No comparison with a sentence, no prefix and no pattern on one: only codes are compared."""
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for folder in ("optimizer", "db", "server")
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call | ast.Compare) and _reads_words(node)
    ]
    assert found == []


def test_no_reason_is_shown_as_a_code() -> None:
    """Types cannot see it: f-strings, logs and `print` take a reason as they take a text."""
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for folder in ("optimizer", "server")
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FormattedValue | ast.Call) and _shows_reason(node)
    ]
    assert found == []


def _shows_reason(node: ast.FormattedValue | ast.Call) -> bool:
    """Tell whether a stored reason is formatted, logged or printed without `sentence`."""
    if isinstance(node, ast.FormattedValue):
        return _is_stored_reason(node.value)
    function = ast.unparse(node.func)
    shows = function in ("str", "print", "escape", "plain") or function.startswith(
        ("logger.", "click.echo", "console.print")
    )
    return shows and any(_is_stored_reason(each) for each in node.args)


def _is_stored_reason(node: ast.AST) -> bool:
    """Tell whether it is read off a row or a state; a sandbox's report has its reason in words."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr == "get" and ast.unparse(node.args[0]) == "'reason'"
    return (
        not isinstance(node, ast.Name) and _is_reason(node) and "report." not in ast.unparse(node)
    )


def _reads_words(node: ast.Call | ast.Compare) -> bool:
    """Tell whether a sentence is compared, searched, or looked at by its beginning or end."""
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        return any(_is_sentence(each) for each in sides)
    if isinstance(node.func, ast.Attribute):
        method, at = node.func.attr, node.func.value
        if method in ("startswith", "endswith", "partition", "split", "removeprefix"):
            return _is_sentence(at) or _is_reason(at)
        if method in ("match", "search", "fullmatch", "findall"):
            return any(_is_sentence(each) or _is_reason(each) for each in node.args)
    return False


def _is_sentence(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "sentence"


def _is_reason(node: ast.AST) -> bool:
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Constant) and node.slice.value == "reason"
    return getattr(node, "attr", getattr(node, "id", "")) == "reason"
