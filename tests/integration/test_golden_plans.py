"""Plans of golden cases are made once for a manager's version and a model, not in every healing."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from bench.harness.healing import HealingHarness, calls, open_healing_harness
from selfheal.db import healings
from selfheal.db.pool import Database
from selfheal.db.types import Agent
from selfheal.optimizer.dataset.cases import golden_requests
from selfheal.optimizer.evaluation import trials
from selfheal.optimizer.evaluation.trials import INCUMBENT, TrialStore


@pytest.fixture
async def harness(database: Database, gemini: str) -> AsyncIterator[HealingHarness]:
    async with open_healing_harness(database) as opened:
        yield opened


async def tried(harness: HealingHarness, url: str, agent: Agent = "worker") -> int:
    """Run a golden case in a healing of its own; return the calls of the manager."""
    healing = uuid4()
    hold = harness.context.hold(str(healing))
    async with harness.database.connection() as connection:
        await healings.open_(
            connection, hold, agent=agent, trigger="t", incumbent_version=1, lease=60
        )
    before = await calls(url)
    text = (await harness.live(agent)).text
    store = await TrialStore.read(harness.context, str(healing), agent, {INCUMBENT: text}, {})
    assert await store.trial("gate", INCUMBENT, golden_requests()[0])
    await harness.execute("DELETE FROM healings WHERE id = %(id)s", id=UUID(str(healing)))
    return (await calls(url) - before)["manager"]


async def test_a_plan_is_made_once(harness: HealingHarness, gemini: str) -> None:
    assert await tried(harness, gemini) == 1
    assert await tried(harness, gemini) == 0
    assert await tried(harness, gemini, "manager") == 1  # the plan is what is tried there
    await harness.put_live((await harness.live("manager")).text + " Be brief.", "manager")
    assert await tried(harness, gemini) == 1
    assert await tried(harness, gemini) == 0


async def test_a_plan_that_contradicts_its_request_is_not_kept(
    harness: HealingHarness, gemini: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "contradicts", lambda *_: True)
    assert await tried(harness, gemini) == 1
    assert await tried(harness, gemini) == 1
