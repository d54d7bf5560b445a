"""Healing where there is little or nothing to heal: what counts is what stays live."""

import pytest

from bench.harness.healing import KNOWN, defect, open_healing_harness
from selfheal.db.pool import Database
from tests.conftest import control
from tests.support.chaos import chaos_only

pytestmark = pytest.mark.usefixtures("repeatable")


@pytest.mark.parametrize("seed", [1, *chaos_only(2)])
async def test_where_nothing_is_wrong_nothing_is_released(
    database: Database, gemini: str, seed: int
) -> None:
    async with open_healing_harness(database) as harness:
        await harness.run("slugify", "ordinal")
        await control(gemini, scenario="null", seed=seed)
        assert (await harness.heal())["outcome"] == "healthy"
        result = await harness.heal(forced=True)
        assert result["outcome"] in ("rejected", "needs_approval"), result
        assert [each.version for each in await harness.log()] == [1]


@pytest.mark.parametrize("rollout", ["canary", *chaos_only("instant")])
async def test_an_incumbent_that_still_does_some_good_is_not_replaced_at_once(
    database: Database, gemini: str, monkeypatch: pytest.MonkeyPatch, rollout: str
) -> None:
    monkeypatch.setenv("SELFHEAL_ROLLOUT", rollout)
    monkeypatch.setenv("SELFHEAL_HEAL_BUDGET_CALLS", "1000")  # a hard one may take both gates
    async with open_healing_harness(database) as harness:
        await harness.put_live(await defect(gemini, "own-names"))
        await harness.run(*KNOWN)
        result = await harness.heal(forced=True)  # it may fail too seldom to be detected yet
        receipt = await harness.receipt(result)
        assert receipt["gates"][-1]["verdict"] == "accepted", receipt["gates"]
        assert receipt["gates"][-1]["incumbent_rate"] > 0.2
        careful = rollout == "canary"
        assert result["outcome"] == ("canary" if careful else "promoted")
        assert ((await harness.live()).version == 2) == careful
        assert (await harness.log())[0].percent == (50 if careful else 100)
