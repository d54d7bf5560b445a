"""A judge that has drifted blocks healing; one that is merely noisy does not."""

import pytest

from bench.harness.healing import KNOWN, HealingHarness, calls, defect, open_healing_harness
from bench.harness.scripted_model import agent_reply, serve_scripted_model
from selfheal.db.pool import Database
from selfheal.optimizer.dataset.golden_verdicts import (
    agreement,
    ask_judge,
    golden_verdicts,
    part_of_verdict,
)
from selfheal.optimizer.evaluation import judge_drift
from selfheal.optimizer.evaluation.judge_drift import check_daily
from selfheal.optimizer.policy.judge_drift import PARTS
from selfheal.optimizer.wording import sentence
from tests.conftest import control
from tests.integration.test_daily import a_day_later
from tests.support.chaos import chaos_only


async def sick_and_known(harness: HealingHarness, gemini: str) -> None:
    """Break the worker's prompt a day after a check of the judge."""
    judge, prompt = harness.context.agent.evaluator.model, await harness.live("evaluator")
    asked = [each for each in golden_verdicts() if part_of_verdict(each.id) == 0]
    parts = judge_drift.parts_of(await ask_judge(judge, prompt.text, asked, 8))
    await judge_drift.record(harness.database, judge.name, prompt.version, parts)
    await harness.put_live(await defect(gemini, "hello-world"))
    await harness.run(*KNOWN)
    await harness.execute("UPDATE judge_checks SET created_at = now() - interval '25 hours'")


@pytest.mark.parametrize("scenario", ["judge-lenient", *chaos_only("judge-harsh", "judge-random")])
async def test_a_judge_that_has_drifted_freezes_healing(
    database: Database, gemini: str, scenario: str
) -> None:
    async with open_healing_harness(database) as harness:
        await sick_and_known(harness, gemini)
        await control(gemini, scenario=scenario)
        before = await harness.log()
        result = await harness.heal(forced=True)
        assert result["outcome"] == "frozen"
        assert result["reason"]["code"] == "judge_drifted"
        assert await harness.log() == before
        receipt = await harness.receipt(result)
        assert (receipt["outcome"], receipt["judge"]["drifted"]) == ("frozen", True)
        assert receipt["candidates"] == []
        await control(gemini, scenario="sound")
        asked = await calls(gemini)
        assert (await harness.heal(forced=True))["outcome"] == "frozen"  # the flag stays
        assert await calls(gemini) == asked
        for _ in range(2):
            await a_day_later(harness)
            assert await check_daily(harness.context)
        assert (await harness.heal(forced=True))["outcome"] == "promoted"


@pytest.mark.chaos
async def test_a_sound_judge_is_asked_once_a_day(database: Database, gemini: str) -> None:
    async with open_healing_harness(database) as harness:
        await sick_and_known(harness, gemini)
        asked = len(golden_verdicts()) // PARTS
        first = await harness.heal(forced=True)
        assert (await harness.receipt(first))["judge"]["asked"] == asked
        await harness.put_live(await defect(gemini, "hello-world"))
        await harness.run(*KNOWN)
        before = await calls(gemini)
        result = await harness.heal(forced=True)
        healing, record = await harness.healing(result), await harness.receipt(result)
        assert healing.calls_used == (await calls(gemini) - before).total()
        assert (record["judge"]["drifted"], record["judge"]["asked"]) == (False, asked)


async def test_a_judge_that_does_not_answer_is_no_judge_that_has_drifted(
    database: Database, gemini: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = agent_reply("print('hello world')")
    async with serve_scripted_model(
        lambda asked: {} if "correctness" in asked.fields else reply(asked)
    ) as at:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", at.url)
        async with open_healing_harness(database) as harness:
            result = await harness.heal(forced=True)
    assert result["outcome"] == "rejected"
    reason = result["reason"]
    message = sentence(reason)
    assert (reason["code"], "the judge answered 0 of" in message) == ("model_failed", True)
    assert message.endswith("could not answer: the model's answer does not fit Marks")


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("scenario", "kind"), [("judge-lenient", 1), ("judge-harsh", -1), ("sound", 0)]
)
async def test_golden_verdicts_tell_how_a_judge_errs(
    database: Database, gemini: str, scenario: str, kind: int
) -> None:
    await control(gemini, scenario=scenario)
    async with open_healing_harness(database) as harness:
        model = harness.service.context.evaluator.model
        prompt = "Compare the code with the request and every requirement."
        found = agreement(await ask_judge(model, prompt, golden_verdicts(), 8))
    assert found.unanswered == 0
    low, high = found.interval
    assert low < found.share < high
    if kind:
        assert found.share < 0.5
        assert found.bias * kind > 0.2


def test_nothing_asked_says_nothing() -> None:
    nothing = agreement([])
    assert (nothing.share, nothing.interval) == (0.0, (0.0, 1.0))
