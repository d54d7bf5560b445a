"""Whether a result is evidence is decided by one function, for stored trials and other results."""

import re
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from selfheal.db.types import Trial
from selfheal.optimizer.evaluation.run_case import CaseResult
from selfheal.optimizer.evaluation.trials import is_evidence

OPTIMIZER = Path(__file__).parents[2] / "optimizer"


def trial(outcome: str, executed: bool) -> Trial:
    return Trial(
        healing_id=uuid4(),
        stage="gate",
        arm=0,
        case_id="run:1",
        outcome=outcome,
        passed=outcome == "ok",
        score=0.0,
        executed=executed,
        calls=1,
        take=0,
        created_at=datetime.now(UTC),
    )


@pytest.mark.parametrize(
    ("outcome", "executed", "expected"),
    [
        ("ok", True, True),
        ("failed", True, True),
        ("ok", False, False),
        ("failed", False, False),
        ("output", False, True),
        ("infrastructure", True, False),
        ("evaluation", True, False),
        ("model", False, False),
    ],
)
def test_what_is_evidence(outcome: str, executed: bool, expected: bool) -> None:
    assert is_evidence(trial(outcome, executed)) is expected
    result = CaseResult(outcome, passed=False, score=0.0, executed=executed)
    assert is_evidence(result) is expected


def test_no_other_function_decides_it() -> None:
    rule = re.compile(r"\.executed\b(?!,)")
    uses = [
        (file.name, line)
        for file in OPTIMIZER.rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        if rule.search(line)
    ]
    assert [file for file, _ in uses] == ["trials.py"], uses
