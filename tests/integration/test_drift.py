"""A judge that changes its mind freezes healing; one that is merely noisy does not."""

import pytest

from selfheal.db.pool import Database
from selfheal.optimizer.dataset.golden_verdicts import Agreement, agreement, ask, golden_verdicts
from selfheal.optimizer.evaluation import judge_drift
from selfheal.optimizer.evaluation.judge_drift import suspect
from tests.conftest import control
from tests.support.chaotic import chaotic
from tests.support.healing import KNOWN, Clinic, calls, defect, opened_clinic
from tests.support.stand_in import agent_reply, standing_in


async def sick_and_known(clinic: Clinic, gemini: str) -> None:
    """Break the worker, when it has been known for a day how the judge judges."""
    judge, prompt = clinic.doctor.agent.evaluator.model, await clinic.live("evaluator")
    found = agreement(await ask(judge, prompt.text, golden_verdicts()[:: judge_drift.EVERY], 8))
    await judge_drift.record(clinic.database, judge.name, prompt.version, found)
    await clinic.put_live(await defect(gemini, "hello-world"))
    await clinic.run(*KNOWN)
    await clinic.execute("UPDATE judge_checks SET created_at = now() - interval '25 hours'")


@pytest.mark.parametrize("scenario", ["judge-lenient", *chaotic("judge-harsh", "judge-random")])
async def test_a_judge_that_has_drifted_freezes_healing(
    database: Database, gemini: str, scenario: str
) -> None:
    async with opened_clinic(database) as clinic:
        await sick_and_known(clinic, gemini)
        await control(gemini, scenario=scenario)
        before = await clinic.log()
        result = await clinic.heal(forced=True)
        assert result["outcome"] == "frozen"
        assert result["reason"]["code"] == "judge_drifted"
        assert await clinic.log() == before
        receipt = await clinic.receipt(result)
        assert (receipt["outcome"], receipt["judge"]["drifted"]) == ("frozen", True)
        assert receipt["candidates"] == []
        await control(gemini, scenario="sound")
        assert (await clinic.heal(forced=True))["outcome"] == "promoted"


@pytest.mark.chaos
async def test_a_sound_judge_is_asked_once_a_day(database: Database, gemini: str) -> None:
    async with opened_clinic(database) as clinic:
        await sick_and_known(clinic, gemini)
        asked = len(golden_verdicts()[:: judge_drift.EVERY])
        first = await clinic.heal(forced=True)
        assert (await clinic.receipt(first))["judge"]["asked"] == asked
        await clinic.put_live(await defect(gemini, "hello-world"))
        await clinic.run(*KNOWN)
        before = await calls(gemini)
        healing = await clinic.healing(await clinic.heal(forced=True))
        assert healing.calls_used == (await calls(gemini) - before).total()
        record = healing.receipt or {}
        assert (record["judge"]["drifted"], record["judge"]["asked"]) == (False, asked)


async def test_a_judge_that_does_not_answer_is_no_judge_that_has_drifted(
    database: Database, gemini: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = agent_reply("print('hello world')")
    async with standing_in(
        lambda asked: {} if "correctness" in asked.fields else reply(asked)
    ) as at:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", at.url)
        async with opened_clinic(database) as clinic:
            result = await clinic.heal(forced=True)
    assert result["outcome"] == "rejected"
    reason = result["reason"]
    message = reason["values"]["message"]
    assert (reason["code"], "the judge answered 0 of" in message) == ("model_failed", True)
    assert message.endswith("could not answer: the model's answer does not fit Marks")


@pytest.mark.parametrize(
    ("agreed", "asked", "drifted"),
    [(30, 34, False), (26, 34, False), (20, 34, True), (8, 34, True), (0, 34, True)],
)
def test_drift_is_less_agreement_than_chance_explains(
    agreed: int, asked: int, drifted: bool
) -> None:
    found = Agreement(asked=asked, agreed=agreed, unanswered=0, kindness=0.0)
    assert suspect(found, (30, 34)) is drifted


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("scenario", "kind"), [("judge-lenient", 1), ("judge-harsh", -1), ("sound", 0)]
)
async def test_golden_verdicts_tell_how_a_judge_errs(
    database: Database, gemini: str, scenario: str, kind: int
) -> None:
    await control(gemini, scenario=scenario)
    async with opened_clinic(database) as clinic:
        model = clinic.service.context.evaluator.model
        prompt = "Compare the code with the request and every requirement."
        found = agreement(await ask(model, prompt, golden_verdicts(), 8))
    assert found.unanswered == 0
    low, high = found.interval
    assert low < found.share < high
    if kind:
        assert found.share < 0.5
        assert found.kindness * kind > 0.2


def test_nothing_asked_says_nothing() -> None:
    nothing = agreement([])
    assert (nothing.share, nothing.interval) == (0.0, (0.0, 1.0))
