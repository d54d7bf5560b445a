"""What Prometheus scrapes: of each process, and of the deployment from one."""

import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bench.harness.healing import HealingHarness, ask, open_healing_harness
from bench.harness.processes import clean_environment, finished, selfheal, started
from selfheal.app.llm.usage import MODEL_CALLS, MODEL_TOKENS
from selfheal.db import deployment_stats
from selfheal.db.pool import Database
from selfheal.db.runs import RunResult
from selfheal.graph.nodes import NODE_SECONDS
from selfheal.graph.sandbox.metered import SANDBOX_RUNS
from selfheal.server.observability.metrics.deployment import Deployment
from selfheal.server.observability.metrics.process import observe
from selfheal.server.observability.metrics.reference import known
from tests.support.prometheus import free

DOCS = Path(__file__).parents[2] / "docs/metrics.md"
ASK = {"assistant_id": "agent", "input": {"request": "Write is_leap_year(year)."}}

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(text: str) -> Samples:
    """Return the samples, by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("selfheal_")
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


class Service:
    """A process that serves, and what it tells."""

    def __init__(self, url: str, metrics: str) -> None:
        self.url = url
        self.metrics = metrics

    async def post(self, path: str, body: Any) -> Any:
        async with httpx.AsyncClient(base_url=self.url, timeout=60) as client:
            return (await client.post(path, json=body)).json()

    async def scrape(self) -> Samples:
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.get(self.metrics)
            assert answer.headers["content-type"].startswith("text/plain")
            return read(answer.text)


@asynccontextmanager
async def serving(env: dict[str, str], *options: str) -> AsyncIterator[Service]:
    port = free()
    command = selfheal("serve", *options, "--port", "0", "--metrics-port", str(port))
    async with started(*command, env=env, says=r"serving on (\S+)") as (_, url):
        yield Service(url, f"http://127.0.0.1:{port}/metrics")


async def test_the_page_is_what_the_code_says() -> None:
    """Made by a process of its own: what else was counted in this one would be on it."""
    made = (sys.executable, "-m", "selfheal.server.observability.metrics.reference")
    code, page, _ = await finished(*made, env=clean_environment())
    assert (code, page) == (0, DOCS.read_text()), f"{' '.join(made[1:])} > docs/metrics.md"


async def test_a_service_exports_what_happened_and_adds_no_series(
    service_env: dict[str, str],
) -> None:
    env = {**service_env, "SELFHEAL_OPTIMIZE_EVERY_SECONDS": "0"}
    async with serving(env) as service:
        before = await service.scrape()
        for _ in range(3):
            assert (await service.post("/runs/wait", ASK))["evaluation"]["passed"]
        bad = "Answer every request with a hello world program."
        for arguments in (("add", "worker", "-"), ("activate", "worker", "2")):
            code, _, err = await finished(*selfheal("prompts", *arguments), env=env, stdin=bad)
            assert code == 0, err
        await service.post("/runs/wait", ASK)
        code, _, err = await finished(
            *selfheal("optimize"), env=env
        )  # a CronJob that nobody scrapes
        assert code == 0, err
        samples = await service.scrape()
    assert samples.keys() == before.keys() | {
        key for key in samples if key[0] == "selfheal_evaluator_agreement"
    }, "series grow with nothing"
    assert value(samples, "selfheal_runs_total", status="success", outcome="ok") == 3
    assert value(samples, "selfheal_runs_total", status="success", outcome="failed") == 1
    assert value(samples, "selfheal_run_duration_seconds_count") == 4
    assert value(samples, "selfheal_node_duration_seconds_count", node="worker") == 4
    assert value(samples, "selfheal_evaluations_total", passed="true") == 3
    assert value(samples, "selfheal_evaluation_score_count", kind="total") == 4
    assert value(samples, "selfheal_model_calls_total", agent="worker", outcome="ok") == 4
    assert value(samples, "selfheal_model_tokens_total", agent="manager", direction="input") > 100
    assert value(samples, "selfheal_prompt_active_version", agent="worker") == 2
    assert value(samples, "selfheal_releases_total", agent="worker", action="activate") == 1
    assert value(samples, "selfheal_optimizer_runs_total", outcome="healthy") == 1
    assert (
        abs(value(samples, "selfheal_optimizer_last_success_timestamp_seconds") - time.time()) < 60
    )
    documented = {
        name
        for _, found in known().values()
        for each in found
        for name in {each.name, f"{each.name}_total"}
    }
    exposed = {re.sub("_(bucket|sum|count)$", "", name) for name, _ in samples}
    assert exposed <= documented


async def test_the_evaluator_exports_its_sandbox(service_env: dict[str, str]) -> None:
    env = {name: service_env[name] for name in service_env if name != "DATABASE_URL"}
    body = {"request": "Write f().", "code": "def f():\n    return 1"}
    async with serving(env, "--role", "evaluator") as service:
        verdict = await service.post("/evaluate", body)
        samples = await service.scrape()
    backend = verdict["execution"]["backend"]
    assert (
        sum(
            count
            for (name, labels), count in samples.items()
            if name == "selfheal_sandbox_runs_total" and ("backend", backend) in labels
        )
        >= 1
    )
    assert not any(name == "selfheal_queue_depth" for name, _ in samples)


async def test_one_process_exports_the_deployments_figures(database: Database) -> None:
    one, two = Deployment(database, 600), Deployment(database, 600)
    await one.refresh()
    await two.refresh()
    assert list(one.collect())
    assert not list(two.collect())
    async with database.connection() as connection:  # it is gone, or frozen
        await connection.execute("UPDATE metrics_leader SET lease_until = clock_timestamp()")
    await two.refresh()
    await one.refresh()
    assert list(two.collect())
    assert not list(one.collect())


async def test_it_exports_waiting_runs_and_a_paused_healing(
    database: Database, gemini: str
) -> None:
    async with open_healing_harness(database) as harness:
        await harness.execute(
            "INSERT INTO pauses (paused, reason, actor) VALUES (true, '{}', 'test')"
        )
        await waiting(harness)
        await harness.execute(
            "INSERT INTO judge_checks (model, prompt_version, asked, agreed, drifted)"
            " VALUES ('m', 1, 40, 10, true)"
        )
        await harness.execute(
            "INSERT INTO judge_flags (model, prompt_version, check_id)"
            " SELECT model, prompt_version, id FROM judge_checks"
        )
    async with database.connection() as connection:
        found = await deployment_stats.collect(connection)
    assert found.paused
    assert (found.queue_depth, found.agreement) == (1, 0.25)
    assert (found.drifted, found.frozen) == (True, False)
    assert 29 < found.queue_oldest < 60


async def waiting(harness: HealingHarness) -> None:
    """Have a run wait for half a minute."""
    done = await harness.service.run(ask("slugify"))
    await harness.execute(
        "INSERT INTO claims (run_id, thread_id, due_at)"
        f" SELECT id, thread_id, clock_timestamp() - interval '30 s' FROM runs"
        f" WHERE id = '{done.run_id}'"
    )


def test_counting_costs_a_run_next_to_nothing() -> None:
    """At most 1 ms: 1 % of a run whose model takes no time at all."""
    evaluation = {"passed": True, "score": 0.9, "rule_score": 1.0, "llm_score": 0.8}
    began = time.perf_counter()
    for _ in range(1000):
        for agent in ("manager", "worker", "evaluator"):
            NODE_SECONDS.labels(agent).observe(0.1)
            MODEL_CALLS.labels(agent, "ok").inc()
            MODEL_TOKENS.labels(agent, "input").inc(100)
            MODEL_TOKENS.labels(agent, "output").inc(100)
        SANDBOX_RUNS.labels("bwrap", "ok").inc()
        observe(RunResult("ok", evaluation=evaluation), 0.3)
    assert time.perf_counter() - began < 1.0


@pytest.mark.parametrize("status", ["success", "error", "timeout", "interrupted"])
def test_every_status_has_its_series_from_the_start(status: str) -> None:
    samples = [each for found in known().values() for metric in found[1] for each in metric.samples]
    assert any(each.labels.get("status") == status for each in samples)
