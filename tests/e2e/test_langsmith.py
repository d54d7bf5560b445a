"""Traces on LangSmith's wire, read by a small server of our own."""

import asyncio
import json
import signal
import socket
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from bench.harness.healing import KNOWN, defect, open_healing_harness
from bench.harness.processes import finished, selfheal, started
from selfheal.db import api_keys, prompts
from selfheal.db.pool import Database, open_database
from selfheal.db.prompts import Terms
from selfheal.optimizer.dataset.golden_verdicts import golden_verdicts
from tests.support.langsmith_wire import PROJECT, WORKSPACE, langsmith

SAYS = r"serving on (http://\S+)"
SERVE = selfheal("serve", "--port", "0")
ASK = {"assistant_id": "agent", "input": {"request": "Write is_leap_year(year)."}}
ONE_PASS = (sys.executable, "-m", "tests.support.optimizer_process")


async def canary(database: Database) -> None:
    """Give a second version of the worker's prompt to half of the threads."""
    async with database.connection() as connection:
        head = await prompts.head(connection, "worker")
        text = (await prompts.get(connection, "worker", 1)).text
        await prompts.add(connection, "worker", text + " Think twice.", author="test")
        terms = Terms(percent=50)
        await prompts.release(
            connection, "worker", 2, after=head, action="canary", actor="test", terms=terms
        )


async def test_a_trace_knows_its_run_its_prompts_its_class_and_its_scores(
    service_env: dict[str, str], database: Database
) -> None:
    await canary(database)
    scopes: tuple[api_keys.Scope, ...] = ("admin",)
    async with database.connection() as connection:
        made = await api_keys.create(connection, tenant="a-tenant-s-name", scopes=scopes)
    async with langsmith() as told:
        public = {"SELFHEAL_PUBLIC_URL": "https://heal.example"}
        env = {**service_env, **told.env, **public}
        serving = started(*SERVE, env=env, says=SAYS)
        async with (
            serving as (_, url),
            httpx.AsyncClient(base_url=url, timeout=60, headers={"x-api-key": made[1]}) as client,
        ):
            result = (await client.post("/runs/wait", json=ASK)).json()
            run_id = result["run_id"]
            said = {"score": 0.25, "comment": "too long"}
            assert (await client.post(f"/runs/{run_id}/feedback", json=said)).status_code == 201
            shown = (await client.get(f"/runs/{run_id}")).json()["trace_url"]
            async with asyncio.timeout(10):
                while shown is None:
                    await asyncio.sleep(0.1)
                    shown = (await client.get(f"/runs/{run_id}")).json()["trace_url"]
            result_of_log = (await client.get(f"/runs/{run_id}")).json()
    assert shown.endswith(f"/o/{WORKSPACE}/projects/p/{PROJECT}/r/{run_id}")
    metadata, versions = told.metadata(run_id), result["prompt_versions"]
    assert metadata["run_id"] == run_id
    assert metadata["prompt_versions"] == versions
    assert metadata["arms"] == {"worker": "canary" if versions["worker"] == 2 else "base"}
    assert metadata["outcome"] == result_of_log["outcome"]
    tags = {
        tuple(run["tags"])
        for run in told.runs().values()
        if run["run_type"] == "llm" and run["trace_id"] == run_id
    }
    assert tags, "model calls"
    assert all("selfheal:production" in each for each in tags)
    assert metadata["run_url"] == f"https://heal.example/runs/{run_id}"
    assert told.runs()[run_id]["outputs"]["evaluation"]["score"] > 0
    scores, evaluation = told.feedback(run_id), result["evaluation"]
    for key in ("score", "rule_score", "llm_score", "passed"):
        assert scores[key]["score"] == round(float(evaluation[key]), 4)
        assert scores[key]["feedback_source"]["type"] == "model"
    assert (scores["user_score"]["score"], scores["user_score"]["comment"]) == (0.25, "too long")
    assert scores["user_score"]["feedback_source"]["type"] == "api"
    for secret in (b"langsmith-secret", b'"simulated"', b"a-tenant-s-name", made[1].encode()):
        assert secret not in told.all


async def test_a_langsmith_that_never_answers_blocks_nothing(
    service_env: dict[str, str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        log = tmp_path / "log"
        env = {**service_env, "LANGSMITH_TRACING": "true", "LANGSMITH_API_KEY": "a-secret"}
        env |= {
            "LANGSMITH_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "LOG": str(log),
        }
        command = ("sh", "-c", 'exec "$@" 2> "$LOG"', "sh", *SERVE)
        async with started(*command, env=env, says=SAYS) as (process, url):
            async with httpx.AsyncClient(base_url=url, timeout=60) as client:
                run_id = (await client.post("/runs/wait", json=ASK)).json()["run_id"]
                at, said = f"/runs/{run_id}/feedback", {"passed": True}
                began = time.monotonic()
                answers = [client.post(at, json=said) for _ in range(220)]  # more than may wait
                assert {each.status_code for each in await asyncio.gather(*answers)} == {201}
                assert (await client.get(f"/runs/{run_id}")).json()["trace_url"] is None
                assert time.monotonic() - began < 20
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 30) == 0
            assert time.monotonic() - began < 15  # minutes, if it were waited for
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert sum("further ones are dropped" in line["message"] for line in lines) == 1, (
        "not for each of them"
    )
    assert any("200 scores were not sent" in line["message"] for line in lines)


async def test_what_other_roles_do_is_a_part_of_the_runs_trace(
    service_env: dict[str, str],
) -> None:
    async with langsmith() as told_to, AsyncExitStack() as stack:
        env = {
            **service_env,
            **told_to.env,
            "SELFHEAL_ROLE_KEY": "a role key that nobody guesses",
        }

        async def start(role: str, **more: str) -> str:
            command = selfheal("serve", "--role", role, "--port", "0")
            serving = started(*command, env={**env, **more}, says=r"serving on (http://\S+)")
            return (await stack.enter_async_context(serving))[1]

        worker = await start("worker")
        evaluator = await start("evaluator", SELFHEAL_JUDGE_API_KEY=env["GOOGLE_API_KEY"])
        there = {"SELFHEAL_WORKER_URL": worker, "SELFHEAL_EVALUATOR_URL": evaluator}
        url = await start("manager", **there)
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            run_id = (await client.post("/runs/wait", json=ASK)).json()["run_id"]
        wrong = {"x-api-key": "a role key that nobody guesses", "langsmith-trace": "nonsense"}
        wrong["x-selfheal-purpose"] = "trial"
        body = {"request": "Write f().", "code": "def f(): pass"}
        async with httpx.AsyncClient(base_url=evaluator, timeout=60, headers=wrong) as client:
            assert (await client.post("/evaluate", json=body)).status_code == 200
        await stack.aclose()
    runs = told_to.runs().items()
    traces = {id_: run["trace_id"] for id_, run in runs if run.get("run_type") == "llm"}
    assert list(traces.values()).count(run_id) == 3, "manager, worker, judge"
    assert len(traces) == 4, "and one asked for by nobody's trace"
    names = [run["name"] for run in told_to.runs().values() if run["trace_id"] == run["id"]]
    assert sorted(names) == ["agent run", "evaluator"]
    tags = {run["name"]: run["tags"] for run in told_to.runs().values()}
    assert tags["worker"] == ["selfheal:production"]
    for run in told_to.runs().values():
        apart = run["trace_id"] != run_id
        assert ("selfheal:trial" in run["tags"]) == apart, "as its caller says"


async def test_a_check_of_the_judge_is_one_trace(service_env: dict[str, str]) -> None:
    async with langsmith() as told:
        env = {**service_env, **told.env, "LANGSMITH_TRACING_QUEUE_MAX_SIZE": "10000"}
        code, _, err = await finished(*selfheal("golden", "check", "--json"), env=env)
        assert code == 0, err
    (root,) = [run for run in told.runs().values() if run["trace_id"] == run["id"]]
    assert (root["name"], root["inputs"]["prompt_version"]) == ("judge check", 1)
    verdicts = [run for run in told.below("judge check") if run["name"] == "golden verdict"]
    assert len(verdicts) == root["outputs"]["asked"] == len(golden_verdicts())
    assert {run["parent_run_id"] for run in verdicts} == {root["id"]}
    assert all(run["inputs"]["code"] and "score" in run["outputs"] for run in verdicts)


async def test_the_doctors_question_is_a_trace_by_its_name(service_env: dict[str, str]) -> None:
    async with langsmith() as told:
        code, _, err = await finished(*selfheal("doctor"), env={**service_env, **told.env})
        assert code == 0, err
    assert [run["run_type"] for run in told.below("doctor")].count("llm") >= 1


async def test_a_pass_that_finds_nothing_is_no_trace(service_env: dict[str, str]) -> None:
    async with langsmith() as told:
        env = {**service_env, **told.env}
        code, out, err = await finished(*selfheal("optimize"), env=env)
        assert (code, json.loads(out)["outcome"]) == (0, "healthy"), err
        assert told.parts == []
        unhealed = await canary_under_way(env)
        assert (unhealed, told.parts) == ("cooling_down", [])


async def canary_under_way(env: dict[str, str]) -> str:
    """Make a pass while a canary is under way; return what it came to."""
    async with open_database(env["DATABASE_URL"]) as database:
        await canary(database)
    _, out, _ = await finished(*selfheal("optimize"), env=env)
    outcome: str = json.loads(out)["outcome"]
    return outcome


@pytest.mark.chaos
async def test_a_healing_that_changes_hands_is_one_trace(
    service_env: dict[str, str], database: Database, gemini: str
) -> None:
    async with open_healing_harness(database) as harness:
        await harness.put_live(await defect(gemini, "hello-world"))
        await harness.run(*KNOWN[:3])
    async with langsmith() as told:
        env = {**service_env, **told.env, "SELFHEAL_LEASE_SECONDS": "1"}
        env["SELFHEAL_PUBLIC_URL"] = "https://heal.example"
        code, _, _ = await finished(*ONE_PASS, env={**env, "DIE_IN": "gate"})
        assert code == -signal.SIGKILL
        code, out, err = await finished(*ONE_PASS, env=env)
        assert code == 0, err
    result = json.loads(out.partition("result ")[2])
    healing_id, runs = result["healing_id"], told.runs()
    root = runs[healing_id]
    assert (root["name"], root["posts"], root["trace_id"]) == ("healing", 1, healing_id)
    assert root["outputs"]["outcome"] == "promoted"
    metadata = root["extra"]["metadata"]
    assert metadata["healing_url"] == f"https://heal.example/healings/{healing_id}"
    wanted = {"agent": "worker", "trigger": "test", "outcome": "promoted", "from_version": 2}
    assert wanted.items() <= metadata.items()
    assert {run["trace_id"] for run in runs.values()} == {healing_id}
    begins = {run["dotted_order"].partition(".")[0] for run in runs.values()}
    assert begins == {root["dotted_order"]}, "all of it hangs on the same root"
    of_trials = [run for run in runs.values() if run["name"] == "trial"]
    for run in of_trials:
        assert run["inputs"]["request"], "what was tried"
        assert "selfheal:trial" in run["tags"]
        facts = run["extra"]["metadata"]
        assert {"stage", "case_id", "prompt_agent"} <= facts.keys()
        assert ("prompt_version" in facts) is not ("candidate" in facts)
    trials = [
        run
        for run in of_trials
        if (run["extra"]["metadata"]["stage"], run["extra"]["metadata"].get("arm")) == ("gate", 0)
    ]
    assert {run["extra"]["metadata"]["prompt_version"] for run in trials} == {2}
    calls = [run for run in runs.values() if run["run_type"] == "llm"]
    tried = {run["id"] for run in of_trials}
    for run in calls:
        above = {each.rpartition("Z")[2] for each in run["dotted_order"].split(".")}
        assert ("selfheal:trial" in run["tags"]) == bool(above & tried)
        assert "selfheal:production" not in run["tags"]
    verdicts = [run for run in runs.values() if run["name"] == "golden verdict"]
    assert len(verdicts) >= 39
    (check,) = {run["parent_run_id"] for run in verdicts}
    assert runs[check]["name"] == "judge check"
    assert len(trials) >= 30
    states = [run["name"] for run in runs.values()]
    assert states.count("diagnose") == 1
    assert states.count("gate") == 2, "the one that was killed, and its successor's"
