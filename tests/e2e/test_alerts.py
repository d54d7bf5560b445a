"""Each trouble wakes whom it should and nobody else, in a real Prometheus with the real rules."""

import asyncio
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import httpx
import psycopg
import pytest
import yaml

from bench.harness.processes import finished, selfheal, started
from selfheal.server.cli import main
from tests.conftest import control
from tests.support.dashboards import dashboards, queries, reader
from tests.support.grafana_macros import Period, variables_of
from tests.support.prometheus import FASTER, HERE, RULES, Prometheus, faster, free, prometheus

REQUESTS = (
    "Write is_leap_year(year) that tells whether a year is a leap year.",
    "Write slugify(text) that makes a text fit for a URL.",
    "Write ordinal(n) that returns 1st, 2nd, 3rd and so on.",
)
NO_VERDICT = {
    "SelfhealErrorRateHigh",
    "SelfhealErrorBudgetBurnFast",
    "SelfhealErrorBudgetBurnSlow",
}
INTERVAL = "(selfheal_optimizer_interval_seconds)"

pytestmark = pytest.mark.skipif(
    HERE is None, reason="NOT TESTED: no Prometheus here: apt install prometheus"
)


@dataclass(frozen=True)
class Watched:
    """A service, and the Prometheus that watches it."""

    url: str
    env: dict[str, str]
    prometheus: Prometheus


@asynccontextmanager
async def watched(env: dict[str, str], folder: Path, **settings: str) -> AsyncIterator[Watched]:
    """Start both. Passes of the optimizer come every ten minutes, which are ten seconds here."""
    env = {**env, "SELFHEAL_OPTIMIZE_EVERY_SECONDS": str(600 / FASTER), **settings}
    rules = RULES.read_text()
    if env["SELFHEAL_OPTIMIZE_EVERY_SECONDS"] == "0":  # a CronJob makes them: ten minutes it is
        rules = rules.replace(INTERVAL, f"{INTERVAL} / {FASTER}")
    port, metrics_port = free(), free()
    serve = selfheal("serve", "--port", str(port), "--metrics-port", str(metrics_port))
    async with AsyncExitStack() as stack:
        _, url = await stack.enter_async_context(started(*serve, env=env, says=r"serving on (\S+)"))
        target = f"127.0.0.1:{metrics_port}"
        watching = prometheus(folder, faster(yaml.safe_load(rules)), target)
        yield Watched(url, env, await stack.enter_async_context(watching))


@asynccontextmanager
async def load(url: str, callers: int = 3) -> AsyncIterator[None]:
    """Ask for run after run beside the body."""

    async def ask(request: str) -> None:
        body = {"assistant_id": "agent", "input": {"request": request}}
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            while True:
                await client.post("/runs/wait", json=body)

    asking = [asyncio.create_task(ask(REQUESTS[n % len(REQUESTS)])) for n in range(callers)]
    try:
        yield
    finally:
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def run(watch: Watched, *command: str, stdin: str = "") -> str:
    code, out, err = await finished(*selfheal(*command), env=watch.env, stdin=stdin)
    assert code == 0, err
    return out


async def test_a_broken_prompt_that_waits_for_a_person(
    service_env: dict[str, str], tmp_path: Path
) -> None:
    async with watched(service_env, tmp_path, SELFHEAL_ROLLOUT="manual") as watch:
        bad = "Answer every request with a hello world program."
        await run(watch, "prompts", "add", "worker", "-", stdin=bad)
        await run(watch, "prompts", "activate", "worker", "2")
        async with load(watch.url):
            await watch.prometheus.until({"SelfhealScoreLow"})
            await watch.prometheus.comes('selfheal_healings_total{outcome="needs_approval"} > 0')
            healing = (await run(watch, "healings", "list")).split()
            await run(watch, "healings", "approve", next(each for each in healing if "-" in each))
            await watch.prometheus.until(set())
            await every_panel_has_data(watch)
        assert await watch.prometheus.fired() == {"SelfhealScoreLow"}


async def every_panel_has_data(watch: Watched) -> None:
    """Ask what each panel asks, of Prometheus and as Grafana's reader of Postgres."""
    now = datetime.now(UTC)
    period = Period(now - timedelta(minutes=5), now, 1)
    async with reader(watch.env["DATABASE_URL"]) as url:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            for dashboard in dashboards().values():
                variables = variables_of(dashboard)
                for title, expr in queries(dashboard, "expr"):
                    found = await watch.prometheus.query(period.promql(expr, variables))
                    assert found, f"{title}: {expr}"
                for title, statement in queries(dashboard, "rawSql"):
                    asked = period.sql(statement, variables)
                    rows = await (await connection.execute(asked.encode())).fetchall()
                    assert rows, f"{title}: {asked}"


async def test_a_storm_of_429(service_env: dict[str, str], tmp_path: Path, gemini: str) -> None:
    settings = {"SELFHEAL_MODEL_TIMEOUT_SECONDS": "1"}
    async with watched(service_env, tmp_path, **settings) as watch:
        await control(gemini, scenario="rate-limit-storm")
        async with load(watch.url, callers=9):
            await watch.prometheus.until(NO_VERDICT)
            await control(gemini, scenario="sound")
            await watch.prometheus.until({"SelfhealErrorBudgetBurnSlow"}, seconds=120)
        assert await watch.prometheus.fired() == NO_VERDICT


@pytest.mark.chaos
async def test_a_retired_model(service_env: dict[str, str], tmp_path: Path, gemini: str) -> None:
    async with watched(service_env, tmp_path) as watch:
        await control(gemini, scenario="retired-model")
        async with load(watch.url):
            await watch.prometheus.until({"SelfhealModelRetired", *NO_VERDICT})
        assert await watch.prometheus.fired() == {"SelfhealModelRetired", *NO_VERDICT}


async def test_a_judge_that_drifts(
    service_env: dict[str, str], tmp_path: Path, gemini: str
) -> None:
    async with watched(service_env, tmp_path) as watch:
        # The judge is asked soon after the start: that is its record.
        await watch.prometheus.comes("selfheal_evaluator_agreement > 0.7")
        async with await psycopg.AsyncConnection.connect(watch.env["DATABASE_URL"]) as connection:
            await connection.execute(
                "UPDATE judge_checks SET created_at = created_at - interval '2 days'"
            )
        await control(gemini, scenario="judge-lenient")
        await run(watch, "optimize", "--force")
        drifted = {"SelfhealEvaluatorDrifted", "SelfhealHealingFrozen"}
        await watch.prometheus.until(drifted)
        assert await watch.prometheus.fired() == drifted


@pytest.mark.chaos
async def test_an_optimizer_that_is_dead(service_env: dict[str, str], tmp_path: Path) -> None:
    async with watched(service_env, tmp_path, SELFHEAL_OPTIMIZE_EVERY_SECONDS="0") as watch:
        await run(watch, "optimize")
        await watch.prometheus.until(set())
        await watch.prometheus.until({"SelfhealOptimizerSilent"})
        await run(watch, "optimize")  # a CronJob that is back: nobody scrapes it
        await watch.prometheus.until(set())
        assert await watch.prometheus.fired() == {"SelfhealOptimizerSilent"}


def test_each_alert_fires_is_quiet_on_low_traffic_and_resolves() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("NOT TESTED: no promtool here: apt install prometheus")
    tests = RULES.with_name("rules_test.yml")
    done = subprocess.run(
        [promtool, "test", "rules", str(tests)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_a_test_that_sees_it_fire_and_resolve() -> None:
    alerts = {
        rule["alert"]
        for group in yaml.safe_load(RULES.read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    told = yaml.safe_load(RULES.with_name("rules_test.yml").read_text())["tests"]
    cases = [case for test in told for case in test["alert_rule_test"]]
    for alert in alerts:
        seen = [bool(case["exp_alerts"]) for case in cases if case["alertname"] == alert]
        assert True in seen
        assert seen.count(False) >= 2, f"{alert}: quiet before, and quiet again"


RUNBOOK = RULES.parents[2] / "docs/runbook.md"


def test_each_alert_says_what_to_do() -> None:
    sections = re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            if name := rule.get("alert"):
                assert name in sections
                assert rule["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"
                assert rule["labels"]["severity"] in ("page", "warning")


def test_the_runbook_names_commands_that_exist() -> None:
    for line in re.findall(r"`selfheal ([^`]+)`", RUNBOOK.read_text()):
        command: Any = main
        for word in line.split():
            if isinstance(command, click.Group) and word.isalpha():
                found = command.get_command(click.Context(command), word)
                assert found is not None, line
                command = found
