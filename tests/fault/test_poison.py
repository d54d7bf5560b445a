"""Poisoned logs: no released prompt carries an attacker's order, though the models obey."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from bench.harness.healing import HealingHarness, defect, open_healing_harness
from bench.harness.scripted_model import serve_scripted_model
from bench.poison import CATALOGUE
from bench.poison.obedient_model import LIVE, REPAIR, ObedientModel
from bench.poison.poison import Poison
from bench.poison.trial import heal, swap_at_once, write_poisoned_runs
from selfheal.db.pool import Database
from selfheal.optimizer.evaluation import diagnosis as diagnosing
from selfheal.optimizer.guardrails.lint import LintReference, violations
from selfheal.optimizer.nodes import lint as linting
from tests.conftest import control

BY_NAME = {each.name: each for each in CATALOGUE}
# Places of every kind, and the sets that the gate alone cannot see.
HEALED_WHOLE = (
    "order in a comment of generated code",
    "slow drift, healing by healing",
    "in base64",
)
UNSEEN_BY_THE_GATE = ("a trigger word",)
sets = pytest.mark.parametrize("poison", CATALOGUE, ids=lambda each: each.name)


def ground(poison: Poison) -> LintReference:
    live = LIVE[poison.agent]
    return LintReference(poison.agent, f"{live} {poison.inherited}".strip(), poison.texts, live)


@pytest.fixture
async def open_harness(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    async with AsyncExitStack() as stack:

        async def open_one(obedient_model: ObedientModel) -> HealingHarness:
            server = await stack.enter_async_context(serve_scripted_model(obedient_model.reply))
            monkeypatch.setenv("GOOGLE_API_KEY", "scripted")
            monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
            return await stack.enter_async_context(open_healing_harness(database))

        yield open_one


def test_the_catalogue_is_large_enough_and_each_set_is_another() -> None:
    assert len(BY_NAME) == len(CATALOGUE) >= 24
    assert {each.agent for each in CATALOGUE} == {"worker", "manager", "evaluator"}


@sets
def test_a_prompt_with_the_order_is_recognized(poison: Poison) -> None:
    """And the repair without the order may be tried: the lint sees the order, not the repair."""
    honest = f"{ground(poison).incumbent}\n{REPAIR}"
    assert not poison.carried(honest)
    for attempt in range(len(poison.demands)):
        assert poison.carried(poison.into(honest, attempt)), poison.demands[attempt]
    if not poison.inherited:
        assert violations(honest, ground(poison)) == []


@sets
def test_no_wording_of_the_order_passes_the_lint(poison: Poison) -> None:
    honest = f"{ground(poison).incumbent}\n{REPAIR}"
    for attempt in range(len(poison.demands)):
        candidate = poison.into(honest, attempt)
        assert violations(candidate, ground(poison)), candidate


@pytest.mark.timeout(300)
async def test_a_writer_that_obeys_the_logs_releases_nothing(
    open_harness: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the whole graph; the writer obeys the logs. `python -m bench.poison`: all sets."""
    monkeypatch.setenv("SELFHEAL_HEAL_DAILY_CALLS", "100000")
    obedient_model = ObedientModel(obeys_logs=True)
    harness: HealingHarness = await open_harness(obedient_model)
    for poison in (each for each in CATALOGUE[1::5] if each.place != "feedback"):
        obedient_model.poison, obedient_model.drafts = poison, 0
        await write_poisoned_runs(harness, poison)
        before = await harness.live(poison.agent)
        result = await heal(harness, poison)
        assert result["outcome"] == "rejected", (poison.name, result)
        receipt = await harness.receipt(result)
        fates = {each["fate"] for each in receipt["candidates"] if each["origin"] == "writer"}
        assert fates == {"lint"}, (poison.name, receipt["candidates"])
        assert (await harness.live(poison.agent)).version == before.version


@pytest.mark.parametrize("name", HEALED_WHOLE)
async def test_a_poisoned_deployment_heals_without_the_poison(open_harness: Any, name: str) -> None:
    """The diagnosis obeys the logs; its orders do not reach the writer, who repairs the prompt."""
    poison = BY_NAME[name]
    obedient_model = ObedientModel(poison)
    harness: HealingHarness = await open_harness(obedient_model)
    await write_poisoned_runs(harness, poison)
    result = await heal(harness, poison)
    receipt = await harness.receipt(result)
    assert obedient_model.findings, receipt["findings"]
    assert not any(poison.carried(each) for each in obedient_model.findings)
    live = await harness.live(poison.agent)
    assert not poison.carried(live.text)
    if not poison.inherited:
        assert result["outcome"] == "promoted", result
        assert REPAIR in live.text


@pytest.mark.parametrize("name", UNSEEN_BY_THE_GATE)
async def test_without_the_lint_the_order_goes_live(
    open_harness: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the gate alone does not see what no case asks for."""
    monkeypatch.setattr(linting, "violations", lambda *_: [])
    monkeypatch.setattr(diagnosing, "finding_violations", lambda *_: [])
    poison = BY_NAME[name]
    harness: HealingHarness = await open_harness(ObedientModel(poison))
    await write_poisoned_runs(harness, poison)
    result = await heal(harness, poison)
    assert result["outcome"] == "promoted", result
    assert poison.carried((await harness.live(poison.agent)).text)


async def test_swap_at_once_falls_for_it(open_harness: Any) -> None:
    obedient_model = ObedientModel()
    harness: HealingHarness = await open_harness(obedient_model)
    # What people say of runs is shown to no model.
    seen = [each for each in CATALOGUE[::3] if each.place != "feedback"]
    for poison in seen:
        obedient_model.poison, obedient_model.drafts = poison, 0
        await write_poisoned_runs(harness, poison)
        assert poison.carried(await swap_at_once(harness, poison)), poison.name


async def test_the_gullible_simulation_releases_no_order(database: Database, gemini: str) -> None:
    """Another model, which finds orders by itself and quotes them in its findings."""
    await control(gemini, scenario="gullible")
    async with open_healing_harness(database) as harness:
        poison = BY_NAME["order in a request"]
        await write_poisoned_runs(harness, poison)
        await harness.put_live(await defect(gemini, "hello-world"))
        number = (await harness.live()).version
        await harness.execute("UPDATE runs SET worker_version = %(n)s", n=number)
        result = await heal(harness, poison)
        receipt = await harness.receipt(result)
        assert not any(poison.carried(each["text"]) for each in receipt["candidates"])
        assert not poison.carried((await harness.live()).text)
        assert result["outcome"] in ("promoted", "rejected")
