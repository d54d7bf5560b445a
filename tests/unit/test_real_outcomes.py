"""The bench of recorded outcomes, on a tiny file that is made up."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest

from bench.real_outcomes.__main__ import main
from bench.real_outcomes.gates import OTHERS, Drawn, Sample, of_equals, product_gate
from bench.real_outcomes.measures import DROPS, GAINS, RATES, Share, lost_slices
from bench.real_outcomes.records import (
    Change,
    RecordError,
    changes,
    read_arms,
    repeated_systems,
)

TASKS = 60


def row(arm: str, task: int, *, passed: bool, **more: Any) -> dict[str, Any]:
    return {"source": "made-up", "arm": arm, "task": f"t{task}", "passed": passed, **more}


def rows() -> list[dict[str, Any]]:
    """Return two reruns of a system, and a much better, much dearer one that loses a slice."""
    found = []
    for task in range(TASKS):
        tags = ["kept"] if task < 30 else ["lost"] if task >= 50 else []
        for number in (1, 2):
            passed = task % 6 == 0 if task < 50 else True
            flipped = passed ^ (number == 2 and task == 0)
            found.append(row(f"old-run-{number}", task, passed=flipped, tags=tags, cost_usd=0.1))
        found.append(row("new", task, passed=task < 50, tags=tags, cost_usd=0.3, date="2026-01-01"))
    return found


def written(path: Path, records: list[Any]) -> Path:
    text = "\n".join(each if isinstance(each, str) else json.dumps(each) for each in records)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def made_up(tmp_path: Path) -> list[Change]:
    return list(changes(read_arms([written(tmp_path / "data.jsonl.gz", rows())])))


def test_it_prints_every_table_and_draws_the_chart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = written(tmp_path / "data.jsonl", [*rows(), "", row("few", 1, passed=True)])
    chart = tmp_path / "chart.png"
    arguments = ["--data", str(data), "--repeats", "6", "--chart", str(chart)]
    assert main(arguments) == 0
    report = capsys.readouterr().out
    assert "3 arms of 1 sources with at least 20 tasks, 6 changes" in report
    for title in ("Accepted", "Slices lost", "Watch, equal", "Watch, worse", "Canary", "Guards"):
        assert f"## {title}" in report
    better = next(line for line in report.splitlines() if line.startswith("| > 20 | 2 |"))
    assert better.startswith("| > 20 | 2 | 0.0 ["), "the gate sees that a slice is lost"
    assert better.count("100.0 [") == 5, "the rules of others do not"
    assert any(line.startswith("| > 2 | 2 |") for line in report.splitlines()), "dearer"
    assert chart.stat().st_size > 1000
    assert main(arguments) == 0
    assert capsys.readouterr().out == report, "the same seed gives the same figures"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "Expecting"),
        ("[1]", "not a JSON object"),
        ('{"task": "t", "passed": true}', "`arm` must be a text"),
        ('{"task": "", "arm": "a", "passed": true}', "`task` must be a text"),
        ('{"task": "t", "arm": "a"}', "`passed` must be true or false"),
        ('{"task": "t", "arm": "a", "passed": "yes"}', "`passed` must be true or false"),
        ('{"task": "t", "arm": "a", "passed": true, "cost_usd": -1}', "`cost_usd` must be"),
        ('{"task": "t", "arm": "a", "passed": true, "calls": NaN}', "`calls` must be"),
        ('{"task": "t", "arm": "a", "passed": true, "tags": {}}', "`tags` must be"),
        ('{"task": "t", "arm": "a", "passed": true, "tags": [1]}', "`tags` must be"),
        ("[" * 100_000, ""),
    ],
)
def test_a_bad_line_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    data = written(tmp_path / "data.jsonl", [row("a", 1, passed=True), "", line])
    with pytest.raises(RecordError):
        read_arms([data])
    assert main(["--data", str(data)]) == 2
    shown = capsys.readouterr().err
    assert f"{data}:3: " in shown
    assert message in shown


def test_what_is_missing_has_a_default(tmp_path: Path) -> None:
    sparse = {"task": 7, "arm": "a", "passed": 1, "tags": "one", "cost_usd": None}
    (arm,) = read_arms([written(tmp_path / "some.jsonl", [sparse])])
    assert (arm.source, arm.tags) == ("some", {"7": frozenset({"one"})})
    (trial,) = arm.tasks["7"]
    assert (trial.passed, trial.cost("cost_usd"), trial.cost("calls")) == (True, 0.0, 0.0)


def test_files_that_cannot_be_used_are_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(tmp_path / "none.jsonl")]) == 2
    assert "none.jsonl" in capsys.readouterr().err
    few = written(tmp_path / "few.jsonl", [row("a", 1, passed=True)])
    assert main(["--data", str(few)]) == 2
    assert "enough tasks" in capsys.readouterr().err
    plain = tmp_path / "plain.gz"
    plain.write_text("no gzip")
    assert main(["--data", str(plain)]) == 2
    cut_off = tmp_path / "cut.gz"
    cut_off.write_bytes(written(tmp_path / "data.jsonl.gz", rows()).read_bytes()[:60])
    assert main(["--data", str(cut_off)]) == 2
    binary = tmp_path / "binary.jsonl"
    binary.write_bytes(b"\xff\xfe\x00")
    assert main(["--data", str(binary)]) == 2


def test_a_change_is_measured_over_the_tasks_of_both(tmp_path: Path) -> None:
    found = {(each.old.name, each.new.name): each for each in made_up(tmp_path)}
    better = found["old-run-1", "new"]
    assert len(better.tasks) == TASKS
    assert better.difference == pytest.approx((50 - 19) / TASKS)
    assert better.cost_ratio == pytest.approx(3.0)
    assert lost_slices(better) == ["lost"]
    assert lost_slices(found["old-run-1", "old-run-2"]) == []
    assert lost_slices(found["new", "old-run-1"]) == ["kept"]


def test_reruns_are_trials_of_one_system(tmp_path: Path) -> None:
    made_up(tmp_path)
    (system,) = repeated_systems(read_arms([tmp_path / "data.jsonl.gz"]))
    assert (system.name, len(system.tasks)) == ("old", TASKS)
    sample = of_equals(system, random.Random(1))
    assert {case.task for case in sample.held_out if case.old != case.new} == {"t0"}


def test_the_ranges_hold_every_value_once() -> None:
    for value in (-1.0, -0.1, 0.0, 0.05, 0.1 + 0.2 - 0.2, 0.15, 0.2, 1.0):
        assert sum(each.holds(value) for each in GAINS) == 1
    for value in (0.0, 0.1, 0.35, 0.9, 1.0):
        assert sum(each.holds(value) for each in RATES) == 1
    assert not any(each.holds(0.05) for each in DROPS)
    assert str(Share(0, 0)) == "-"
    assert str(Share(1, 4)) == "25.0 [0.63, 80.59]"


def sample(gains: int, losses: int = 0, total: int = 200) -> Sample:
    """Return cases of which the first are gains, the next losses, and all others passed by both."""
    cases = [
        Drawn("t", old=place >= gains, new=not gains <= place < gains + losses)
        for place in range(total)
    ]
    return Sample(cases, [Drawn("t", old=True, new=True)] * 30)


def test_the_rules_of_others_decide_as_they_are_described() -> None:
    def accepted(drawn: Sample) -> list[bool]:
        return [accepts(drawn) for accepts in OTHERS.values()]

    assert accepted(sample(0)) == [False] * 5
    assert accepted(sample(1)) == [True, True, True, False, False]
    assert accepted(sample(5)) == [True, True, True, True, False]
    assert accepted(sample(6)) == [True] * 5
    assert accepted(sample(1, 5)) == [False] * 5


def test_our_rule_is_the_products_gate() -> None:
    assert product_gate(sample(20)).verdict == "accepted"
    assert product_gate(sample(0)).verdict == "rejected"
    assert product_gate(sample(0, 20)).verdict == "rejected"
