"""The run log, on a real Postgres."""

import json
from uuid import uuid4

import pytest

from bench.harness.processes import finished, selfheal
from bench.harness.service import store_run
from selfheal.db import runs
from selfheal.db.errors import NotFoundError
from selfheal.db.pool import Database
from selfheal.db.runs import Outcome, RunResult
from selfheal.db.types import Agent
from selfheal.server.api.schemas.runs import RunDetail

pytestmark = pytest.mark.every_database

EVALUATION = {
    "score": 0.5,
    "rule_score": 0.6,
    "llm_score": None,
    "passed": False,
    "checks": [{"name": "runs", "score": 0.0, "weight": 1.0, "detail": "a \0 and a \ud800"}],
    "reasons": ["because"],
    "execution": {"backend": "bwrap", "status": "error", "detail": "", "seconds": 0.1},
}


async def test_a_run_has_exactly_one_recorded_result(database: Database) -> None:
    run_id = uuid4()
    async with database.transaction() as connection:
        await store_run(connection, run_id, "r")
        versions = {"manager": 1, "worker": 2, "evaluator": 3}
        first = RunResult(outcome="failed", evaluation=EVALUATION, prompt_versions=versions)
        assert await runs.finish(connection, run_id, first)
        assert not await runs.finish(connection, run_id, RunResult(outcome="ok"))
        row = await runs.get(connection, run_id)
    assert (row.status, row.outcome, row.worker_version) == ("success", "failed", 2)
    assert row.evaluation is not None
    assert row.evaluation["score"] == 0.5


async def test_text_that_postgres_cannot_hold_is_stored_all_the_same(database: Database) -> None:
    run_id = uuid4()
    async with database.transaction() as connection:
        await store_run(
            connection, run_id, "a\0b\ud800c", examples=[{"call": "f('\0')", "returns": "1"}]
        )
        finish = RunResult(outcome="failed", code="x = '\0\udfff'", evaluation=EVALUATION)
        await runs.finish(connection, run_id, finish)
        row = await runs.get(connection, run_id)
    assert row.code == "x = '\N{REPLACEMENT CHARACTER}?'"


@pytest.mark.parametrize(
    ("agent", "expected"),
    [("worker", (2, 200.0)), ("manager", (1, 40.0)), ("evaluator", (1, 60.0))],
)
async def test_the_tokens_of_one_call_are_known_for_each_agent(
    database: Database, agent: Agent, expected: tuple[int, float]
) -> None:
    """Of the runs that passed under the version; the geometric mean, by calls."""

    def usage(calls: int, tokens: int) -> dict[str, int]:
        return {"calls": calls, "input_tokens": tokens - 10, "output_tokens": 10}

    stored: list[tuple[Outcome, int, dict[str, dict[str, int]] | None]] = [
        ("ok", 2, {"worker": usage(1, 100), "manager": usage(1, 40), "evaluator": usage(3, 180)}),
        ("ok", 2, {"worker": usage(2, 800)}),
        ("ok", 1, {"worker": usage(1, 9000)}),
        ("failed", 2, {"worker": usage(1, 9000)}),
        ("ok", 2, {"worker": usage(0, 10)}),
        ("ok", 2, None),
    ]
    async with database.transaction() as connection:
        for outcome, version, used in stored:
            run_id = uuid4()
            await store_run(connection, run_id, "r")
            versions = dict.fromkeys(("manager", "worker", "evaluator"), version)
            result = RunResult(outcome, prompt_versions=versions, usage=used)
            await runs.finish(connection, run_id, result)
        counted, tokens = await runs.usual_tokens(connection, agent, 2, limit=10)
        assert (counted, round(tokens, 6)) == expected
        assert await runs.usual_tokens(connection, agent, 9, limit=10) == (0, 0.0)


async def test_feedback_needs_a_run(database: Database) -> None:
    with pytest.raises(NotFoundError, match="no run"):
        async with database.connection() as connection:
            await runs.add_feedback(connection, uuid4(), score=1.0)


async def test_a_run_is_shown_with_what_people_said_of_it(
    database: Database, service_env: dict[str, str]
) -> None:
    run_id = uuid4()
    async with database.transaction() as connection:
        await store_run(connection, run_id, "r")
        await runs.finish(connection, run_id, RunResult("failed", evaluation=EVALUATION))
        await runs.add_feedback(connection, run_id, score=0.25, comment="too \x1b[31mlong")
        await runs.add_feedback(connection, run_id, score=1.0)
    show = selfheal("runs", "show", str(run_id))
    code, out, err = await finished(*show, env=service_env)
    assert (code, err) == (0, "")
    lines = [line.split(maxsplit=3) for line in out.splitlines() if line.startswith("feedback")]
    assert [line[3] for line in lines] == ["0.25  too \N{REPLACEMENT CHARACTER}[31mlong", "1"]
    code, out, err = await finished(*show, "--json", env=service_env)
    shown = json.loads(out)
    assert [each["score"] for each in shown["feedback"]] == [0.25, 1.0]
    assert RunDetail.model_fields.keys() - shown.keys() == {"trace_url"}, "what the API shows"
