"""What rules see of the cause of a failed run, without a model."""

from typing import Any

import pytest

from selfheal.optimizer.policy.failure_causes import (
    cause_counts,
    decided_by_marks,
    failure_record,
)
from selfheal.optimizer.records.diagnosis import FailureCause, FailureRecord

REQUEST = "Write split_at(text, mark). Raise ValueError if mark is 'none' or longer than 64."
STATED = {"call": "split_at('a-b', '-')", "returns": "['a', 'b']", "origin": "stated"}
WHOLE = ["Raise ValueError if the mark is none or longer than 64."]


def plan(signature: str, *requirements: str) -> dict[str, Any]:
    return {
        "title": "t",
        "requirements": [*requirements],
        "signature": signature,
        "examples": [STATED],
    }


def record(outcome: str, planned: Any, code: str, *, judged: bool = False) -> FailureRecord:
    return failure_record(
        "run", outcome=outcome, request=REQUEST, plan=planned, code=code, judged=judged
    )


SOUND = plan("def split_at(text, mark)", *WHOLE)
CODE = "def split_at(text, mark):\n    return []"


@pytest.mark.parametrize(
    ("outcome", "planned", "code", "cause"),
    [
        ("output", None, "", "plan_unusable"),
        ("output", SOUND, "", "answer_unusable"),
        ("failed", plan("def cut(text, mark)", *WHOLE), "def cut(text, mark): ...",
         "plan_contradicts"),
        ("failed", plan("def split_at(text)", *WHOLE), "def split_at(text): ...",
         "plan_contradicts"),
        ("failed", plan("def cut(text, mark)", *WHOLE), "def chop(text): ...", "unclear"),
        ("failed", SOUND, "def chop(text, mark): ...", "plan_ignored"),
        ("failed", SOUND, CODE, "unclear"),
        ("failed", plan("nothing that could be read", *WHOLE), "def chop(text): ...", "unclear"),
        ("failed", plan("def split_at(text, mark)", "Split the text."), CODE, "plan_omits"),
        ("failed", plan("def split_at(text, mark)", "Split the text."),
         "def split_at(text, mark):\n    if not mark: raise ValueError",
         "unclear"),
    ],
)  # fmt: skip
def test_the_cause_of_a_failure(outcome: str, planned: Any, code: str, cause: FailureCause) -> None:
    assert record(outcome, planned, code)["cause"] == cause


def test_what_may_be_an_example_is_not_looked_for() -> None:
    found = failure_record(
        "run",
        outcome="failed",
        request="Write money(n): 1234.5 becomes '1,234.50'. Don't round 2 numbers' sum.",
        plan={"title": "", "requirements": [], "signature": "def money(n)", "examples": []},
        code="def money(n): ...",
        judged=False,
    )
    assert found["cause"] == "unclear"


def test_counts_are_of_all_failures() -> None:
    rows = [
        record("output", SOUND, ""),
        record("failed", SOUND, CODE, judged=True),
        record("failed", SOUND, CODE),
    ]
    assert cause_counts(rows) == {"answer_unusable": 1, "unclear": 2}
    assert decided_by_marks(rows) == (1, 3)
    assert (cause_counts([]), decided_by_marks([])) == ({}, (0, 0))


def test_a_record_holds_no_text_of_the_run() -> None:
    assert record("failed", SOUND, CODE) == {"run_id": "run", "cause": "unclear", "judged": False}
