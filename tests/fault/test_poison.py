"""Poisoned logs: no released prompt carries an attacker's order, though the models obey him."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from selfheal.db.pool import Database
from selfheal.optimizer.guardrails.lint import LintReference, violations
from selfheal.optimizer.nodes import diagnose as diagnosing
from selfheal.optimizer.nodes import lint as linting
from tests.conftest import control
from tests.support.healing import Clinic, defect, opened_clinic
from tests.support.poison import CATALOGUE
from tests.support.poison.contract import Poison
from tests.support.poison.puppet import LIVE, REPAIR, Puppet
from tests.support.poison.ward import admit, heal, swap_at_once
from tests.support.stand_in import standing_in

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
async def clinics(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    async with AsyncExitStack() as stack:

        async def opened(puppet: Puppet) -> Clinic:
            server = await stack.enter_async_context(standing_in(puppet.reply))
            monkeypatch.setenv("GOOGLE_API_KEY", "scripted")
            monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
            return await stack.enter_async_context(opened_clinic(database))

        yield opened


def test_the_catalogue_is_large_enough_and_each_set_is_another() -> None:
    assert len(BY_NAME) == len(CATALOGUE) >= 24
    assert {each.agent for each in CATALOGUE} == {"worker", "manager", "evaluator"}


@sets
def test_it_can_be_told_whether_a_prompt_carries_the_order(poison: Poison) -> None:
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
async def test_nothing_is_released_by_a_writer_who_is_possessed(
    clinics: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the whole graph, the writer obeying though no finding told it. The bench: all."""
    monkeypatch.setenv("SELFHEAL_HEAL_DAILY_CALLS", "100000")
    puppet = Puppet(possessed=True)
    clinic: Clinic = await clinics(puppet)
    for poison in (each for each in CATALOGUE[1::5] if each.place != "feedback"):
        puppet.poison, puppet.drafts = poison, 0
        await admit(clinic, poison)
        before = await clinic.live(poison.agent)
        result = await heal(clinic, poison)
        assert result["outcome"] == "rejected", (poison.name, result)
        receipt = await clinic.receipt(result)
        fates = {each["fate"] for each in receipt["candidates"] if each["origin"] == "writer"}
        assert fates == {"lint"}, (poison.name, receipt["candidates"])
        assert (await clinic.live(poison.agent)).version == before.version


@pytest.mark.parametrize("name", HEALED_WHOLE)
async def test_a_poisoned_deployment_heals_without_the_poison(clinics: Any, name: str) -> None:
    """The diagnostician obeys; what it was told does not reach the writer, who mends the prompt."""
    poison = BY_NAME[name]
    puppet = Puppet(poison)
    clinic: Clinic = await clinics(puppet)
    await admit(clinic, poison)
    result = await heal(clinic, poison)
    receipt = await clinic.receipt(result)
    assert puppet.told, receipt["findings"]
    assert not any(poison.carried(each) for each in puppet.told)
    live = await clinic.live(poison.agent)
    assert not poison.carried(live.text)
    if not poison.inherited:
        assert result["outcome"] == "promoted", result
        assert REPAIR in live.text


@pytest.mark.parametrize("name", UNSEEN_BY_THE_GATE)
async def test_without_the_lint_the_order_goes_live(
    clinics: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the gate alone does not see what no case asks for."""
    monkeypatch.setattr(linting, "violations", lambda *_: [])
    monkeypatch.setattr(diagnosing, "finding_violations", lambda *_: [])
    poison = BY_NAME[name]
    clinic: Clinic = await clinics(Puppet(poison))
    await admit(clinic, poison)
    result = await heal(clinic, poison)
    assert result["outcome"] == "promoted", result
    assert poison.carried((await clinic.live(poison.agent)).text)


async def test_swap_at_once_falls_for_it(clinics: Any) -> None:
    puppet = Puppet()
    clinic: Clinic = await clinics(puppet)
    # What people say of runs is shown to no model.
    seen = [each for each in CATALOGUE[::3] if each.place != "feedback"]
    for poison in seen:
        puppet.poison, puppet.drafts = poison, 0
        await admit(clinic, poison)
        assert poison.carried(await swap_at_once(clinic, poison)), poison.name


async def test_the_gullible_simulation_releases_no_order(database: Database, gemini: str) -> None:
    """Another model, which finds orders by itself and quotes them in its findings."""
    await control(gemini, scenario="gullible")
    async with opened_clinic(database) as clinic:
        poison = BY_NAME["order in a request"]
        await admit(clinic, poison)
        await clinic.put_live(await defect(gemini, "hello-world"))
        number = (await clinic.live()).version
        await clinic.execute("UPDATE runs SET worker_version = %(n)s", n=number)
        result = await heal(clinic, poison)
        receipt = await clinic.receipt(result)
        assert not any(poison.carried(each["text"]) for each in receipt["candidates"])
        assert not poison.carried((await clinic.live()).text)
        assert result["outcome"] in ("promoted", "rejected")
