"""The healing experiment: its jobs, its results, its tables."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench.experiment.jobs import EXPERIMENTS, jobs, scenarios
from bench.experiment.outcomes import outcomes
from bench.experiment.records import Records
from bench.experiment.report import report
from bench.experiment.work import dealt, tasks
from selfheal.optimizer.dataset.cases import golden_requests
from selfheal.simulator.bank import BANK_FOLDER
from selfheal.simulator.defects import load_defects
from selfheal.simulator.tasks import read_file

SOUND = {
    "of": 40,
    "passed": 0.95,
    "true": 0.95,
    "right": 0.9,
    "scores": [[0.95, True], [0.2, False]],
}


def row(job: Any, **found: Any) -> dict[str, Any]:
    return {
        "key": job.key,
        "experiment": job.experiment,
        "scenario": job.scenario,
        "agent": job.agent,
        "strength": job.strength,
        "arm": job.arm,
        "seed": job.seed,
        **found,
    }


def treated(outcome: str = "promoted", blamed: str = "worker") -> dict[str, Any]:
    return {
        "outcome": outcome,
        "blamed": blamed,
        "calls": 150,
        "tokens": 9000,
        "seconds": 5.0,
        "gates": [],
    }


def results(passed: float = 0.95) -> list[dict[str, Any]]:
    """Return results of every experiment, the first seed of each."""
    rows = [row(job, after=SOUND) for job in jobs("sound", 1)]
    for name in ("healing", "noise", "gepa"):
        for job in jobs(name, 1):
            after = {**SOUND, "passed": passed, "right": passed}
            blamed = treated(blamed=job.agent)
            rows.append(row(job, changed=[job.agent], words=60, treated=blamed, after=after))
    nothing = [row(job, treated=treated("rejected")) for job in jobs("null", 1)]
    frozen = [row(job, treated=treated("frozen"), released=False) for job in jobs("drift", 1)]
    return [*rows, *nothing, *frozen, *(row(job, treated=treated()) for job in jobs("speed", 1))]


def test_every_job_has_a_key_of_its_own() -> None:
    keys = [job.key for name in EXPERIMENTS for job in jobs(name, 1000)]
    assert len(keys) == len(set(keys)) > 800


def test_the_scenarios_are_the_simulators_defects() -> None:
    known = {each.name: each for each in load_defects()}
    for each in scenarios()["healing"]["defects"]:
        assert known[each["name"]].agent == each["agent"]
        assert abs(known[each["name"]].strength - each["strength"]) < 0.16


def test_unseen_work_is_in_neither_the_log_nor_the_golden_requests() -> None:
    golden = {each["id"].removeprefix("golden:") for each in golden_requests()}
    for job in jobs("healing", 5):
        known, unseen = ({each.name for each in half} for half in dealt(job))
        assert not known & unseen
        assert not (known | unseen) & golden
    assert len(tasks()) > 100


def test_half_of_a_trials_tasks_and_of_the_defects_are_new() -> None:
    later = {task.name for file in BANK_FOLDER.glob("later_*.toml") for task in read_file(file)}
    assert len(later) >= 90
    for job in jobs("healing", 3):
        for part in dealt(job):
            assert sum(task.name in later for task in part) * 2 == len(part)
    broken = [each for each in scenarios()["healing"]["defects"] if each["strength"] < 0.6]
    for agent in ("worker", "manager", "evaluator"):
        new = [each.get("new", False) for each in broken if each["agent"] == agent]
        assert sum(new) * 2 >= len(new)


def test_each_agent_has_its_trials() -> None:
    ours = [job for job in jobs("healing", 1000) if job.arm == "selfheal" and job.strength < 0.6]  # type: ignore[operator]
    count = Counter(job.agent for job in ours)
    assert all(240 <= count[agent] <= 250 for agent in ("worker", "manager", "evaluator"))


def test_results_are_kept_and_resumed(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "results.jsonl"
    records = Records(path)
    records.add({"key": "a", "experiment": "sound"})
    with path.open("a") as file:
        file.write('{"key": "b", "exper')  # the process died over it
    again = Records(path)
    assert ("a" in again, "b" in again) == (True, False)
    again.add({"key": "b", "experiment": "sound"})
    assert [each["key"] for each in Records(path).rows] == ["a", "b"]


@pytest.mark.parametrize(("passed", "healed"), [(0.95, True), (0.9, True), (0.89, False)])
def test_healed_is_as_good_as_undamaged(tmp_path: Path, passed: float, healed: bool) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in results(passed)))
    found = [each for each in outcomes(Records(path), "healing") if each.agent != "evaluator"]
    assert found
    assert {each.healed for each in found} == {healed}


@pytest.mark.chaos
def test_the_tables_and_the_chart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in results()))
    report(Records(path), tmp_path / "charts")
    told = capsys.readouterr().out
    assert "SIMULATED" in told
    for words in ("hello-world", "beside GEPA", "nothing is wrong", "the judge drifts", "by hand"):
        assert words in told
    assert (tmp_path / "charts" / "healing.png").stat().st_size > 10_000


def test_without_results_there_is_nothing_to_tell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report(Records(tmp_path / "none.jsonl"), tmp_path)
    assert "SIMULATED" in capsys.readouterr().out
