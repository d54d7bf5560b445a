"""The judge is checked daily, so that there is a baseline before the first failure."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from uuid import uuid4

import pytest

from bench.harness.healing import KNOWN, HealingHarness, calls, defect, open_healing_harness
from selfheal.app.errors import EvaluationError
from selfheal.db import judge_checks
from selfheal.db.judge_checks import CheckClaim, JudgeCheck
from selfheal.db.pool import Connection, Database
from selfheal.optimizer.context import OptimizerContext
from selfheal.optimizer.dataset.golden_verdicts import golden_verdicts
from selfheal.optimizer.evaluation.judge_drift import check_daily
from selfheal.optimizer.policy.judge_drift import ANCHOR_CHECKS, PARTS
from selfheal.server.execution import optimizer_runs as optimizer
from selfheal.server.execution.optimizer_runs import OptimizerScheduler, scheduling
from tests.conftest import control

THIRD = len(golden_verdicts()) // PARTS


@pytest.fixture
async def harness(database: Database, gemini: str) -> AsyncIterator[HealingHarness]:
    async with open_healing_harness(database) as opened:
        yield opened


async def checks(harness: HealingHarness) -> list[JudgeCheck]:
    model = harness.context.agent.evaluator.model.name
    async with harness.database.connection() as connection:
        return await judge_checks.anchor(connection, model, 1, ANCHOR_CHECKS)


async def a_day_later(harness: HealingHarness) -> None:
    await harness.execute("UPDATE judge_checks SET created_at = created_at - interval '25 hours'")
    await harness.execute(
        "UPDATE judge_turns SET taken_at = taken_at - interval '25 hours', slot = slot - 25"
    )


async def test_a_judge_that_drifts_is_known_before_anything_is_released(
    harness: HealingHarness, gemini: str
) -> None:
    found = await check_daily(harness.context)
    assert found is not None
    assert (found.finding["asked"], found.finding["flag"]) == (THIRD, None)
    await control(gemini, scenario="judge-lenient")
    await a_day_later(harness)
    found = await check_daily(harness.context)
    assert found is not None
    assert (found.finding["drifted"], len(await checks(harness))) == (True, 1)
    await harness.put_live(await defect(gemini, "hello-world"))
    await harness.run(*KNOWN)
    before = await harness.log()
    result = await harness.heal(forced=True)
    assert (result["outcome"], await harness.log()) == ("frozen", before)


async def test_what_was_well_earlier_that_day_counts_for_nothing_after_a_drift(
    harness: HealingHarness, gemini: str
) -> None:
    """All of them were asked by `selfheal golden check` shortly before the daily check."""
    assert await check_daily(harness.context)
    await control(gemini, scenario="judge-random")
    await a_day_later(harness)
    await harness.execute(
        "INSERT INTO judge_checks (model, prompt_version, asked, agreed, drifted, created_at)"
        " SELECT model, prompt_version, asked, agreed, drifted, now() - interval '1 hour'"
        " FROM judge_checks"
    )
    await harness.execute(
        "INSERT INTO judge_checks (model, prompt_version, asked, agreed, drifted)"
        " SELECT model, prompt_version, asked, 0, true FROM judge_checks LIMIT 1"
    )
    assert (await harness.heal(forced=True))["outcome"] == "frozen"


async def test_one_process_of_many_asks_once_a_day(harness: HealingHarness, gemini: str) -> None:
    before = await calls(gemini)
    many = [replace(harness.context, holder=uuid4()) for _ in range(5)]
    found = await asyncio.gather(*map(check_daily, many))
    assert sum(each is not None for each in found) == 1
    assert (await calls(gemini) - before).total() == THIRD
    assert await check_daily(harness.context) is None
    await a_day_later(harness)
    assert await check_daily(harness.context) is not None


async def test_of_two_that_see_the_same_one_gets_the_turn(harness: HealingHarness) -> None:
    async def take(connection: Connection) -> CheckClaim | None:
        return await judge_checks.claim_check(
            connection,
            model="m",
            prompt_version=1,
            calls=1,
            daily=harness.context.settings.heal_daily_calls,
        )

    async def later() -> CheckClaim | None:
        async with harness.database.connection() as connection:
            return await take(connection)

    async with harness.database.transaction() as connection:
        first = await take(connection)
        second = asyncio.create_task(later())
        await asyncio.sleep(0.3)  # it does not see what is not committed, and waits for the key
    assert (first is not None, await second) == (True, None)


async def test_a_check_by_a_healing_is_as_good(harness: HealingHarness, gemini: str) -> None:
    """Nothing has failed, so the judge is asked; there is budget for nothing else."""
    settings = harness.settings.model_copy(update={"heal_budget_calls": 2 * THIRD})
    other = replace(harness, context=replace(harness.context, settings=settings))
    before = await calls(gemini)
    await other.heal(forced=True)
    assert (await calls(gemini) - before)["judge"] == THIRD
    assert await check_daily(harness.context) is None


async def test_a_judge_whose_marks_decided_no_failure_is_not_asked(
    harness: HealingHarness, gemini: str
) -> None:
    """Checks forbade a pass each time, and there is no record that could show a drift."""
    await harness.put_live(await defect(gemini, "hello-world"))
    await harness.run(*KNOWN[:3])
    before = await calls(gemini)
    result = await harness.heal()
    receipt = await harness.receipt(result)
    assert (receipt["judge"]["asked"], receipt["judge"]["parts"]) == (0, [])
    assert not any(each["judged"] for each in receipt["failures"])
    assert await checks(harness) == []
    made = (await calls(gemini) - before)["judge"]
    assert made <= sum(each["calls"] for each in receipt["trials"])
    assert result["outcome"] == "promoted"


async def test_it_is_paid_from_the_days_allowance(harness: HealingHarness, gemini: str) -> None:
    def allowing(daily: int) -> OptimizerContext:
        settings = harness.settings.model_copy(update={"heal_daily_calls": daily})
        return replace(harness.context, settings=settings)

    most = 2 * len(golden_verdicts())
    assert await check_daily(allowing(most - 1)) is None
    assert await check_daily(allowing(most)) is not None
    await harness.put_live(await defect(gemini, "hello-world"))
    await harness.run(*KNOWN)
    other = replace(harness, context=allowing(THIRD + 10))
    result = await other.heal()
    assert "budget_exhausted" in repr(result.get("reason")), result
    assert (await other.healing(result)).calls_used <= 10


async def test_a_judge_that_does_not_answer_is_asked_an_hour_later(
    harness: HealingHarness, gemini: str
) -> None:
    await control(gemini, faults=[{"kind": "babble", "persona": "judge"}])
    with pytest.raises(EvaluationError):
        await check_daily(harness.context)
    await control(gemini, faults=[])
    assert await check_daily(harness.context) is None
    await harness.execute(
        "UPDATE judge_turns SET taken_at = taken_at - interval '1 hour', slot = slot - 1"
    )
    assert await check_daily(harness.context) is not None


async def test_the_scheduler_asks_soon_after_the_start_and_survives_what_fails(
    harness: HealingHarness,
    gemini: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(optimizer, "_JUDGE_DELAY", 0)
    monkeypatch.setattr(optimizer, "_JUDGE_POLL", 0.05)
    await control(gemini, faults=[{"kind": "babble", "persona": "judge"}])
    async with scheduling(OptimizerScheduler(harness.context, 600)):
        await until(lambda: _said(caplog, "the daily check of the judge failed"))
        await control(gemini, faults=[])
        await harness.execute("DELETE FROM judge_turns")
        await until(lambda: _asked(harness))
    assert await harness.healings() == []


async def test_without_a_scheduler_no_pass_is_made(
    harness: HealingHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimizer, "_JUDGE_DELAY", 0)
    async with scheduling(OptimizerScheduler(harness.context, 0)):
        await asyncio.sleep(1)
    assert await checks(harness) == []


async def _asked(harness: HealingHarness) -> bool:
    return bool(await checks(harness))


async def _said(caplog: pytest.LogCaptureFixture, what: str) -> bool:
    return what in caplog.text


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await true():
            await asyncio.sleep(0.05)
