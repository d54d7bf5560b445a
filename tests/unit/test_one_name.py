"""One thing has one name: what a run came to is its `outcome`, wherever it is read."""

import re
from pathlib import Path
from typing import get_args

import pytest

from selfheal.app.errors import ErrorOutcome
from selfheal.db.runs import Outcome, RunResult
from selfheal.server.api.schemas.base import Problem
from selfheal.server.api.schemas.runs import RunDetail
from selfheal.server.observability import logs
from selfheal.server.observability.metrics.process import RUNS

ROOT = Path(__file__).parents[2]
FOLDERS = ("app", "db", "deploy", "docs", "grafana", "graph", "optimizer", "server", "simulator")
# A view was made with a former name, and made again since.
HISTORY = {"0016_views.sql"}
FORMER = re.compile(r"error_?class", re.IGNORECASE)


def texts() -> list[Path]:
    kinds = {".py", ".sql", ".md", ".yml", ".yaml", ".json", ".toml"}
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*")]
    return [file for file in files if file.suffix in kinds and file.name not in HISTORY]


def test_no_former_name_is_left() -> None:
    assert len(texts()) > 100
    assert [file for file in texts() if FORMER.search(file.read_text(encoding="utf-8"))] == []


def test_one_vocabulary() -> None:
    assert set(get_args(Outcome)) == {"ok", "failed", *get_args(ErrorOutcome)}
    (metric,) = RUNS.collect()
    labels = {sample.labels["outcome"] for sample in metric.samples}
    assert labels == {*get_args(Outcome), "none"}, "none: it was stopped before it came to anything"


@pytest.mark.parametrize("outcome", get_args(Outcome))
def test_the_log_the_run_and_an_error_name_it_alike(outcome: Outcome) -> None:
    token = logs._started.set(0.0)
    try:
        assert logs.ending(RunResult(outcome))["outcome"] == outcome
    finally:
        logs._started.reset(token)
    assert "outcome" in RunDetail.model_fields
    assert "outcome" in Problem.model_fields
