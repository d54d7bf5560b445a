"""A diet: sentences that nobody misses go, and no others."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bench.harness.healing import HealingHarness, defect, open_healing_harness, passed
from bench.harness.processes import finished, selfheal
from selfheal.db.pool import Database
from selfheal.db.reasons import because
from selfheal.optimizer.policy import ablation
from selfheal.optimizer.runner import Optimizer
from selfheal.optimizer.state import SHORTENING, Result, Trigger
from tests.conftest import control
from tests.integration.test_replay import agrees, disagreeing, tampered

FILLERS = (
    "Tea is best when it is hot, and so is a good idea on a grey morning.",
    "The sky is wide and the days are long, and there is a time for everything.",
    "Many people like the sea, and some of them live by it.",
)
# Of what the stand-in needs to write sound programs, each is said once.
LEAN = (
    "Define exactly the function in the plan's signature, with the same name and parameters."
    " Before you answer, check your code against every example in the plan."
    " Handle edge cases and invalid input: empty values, boundaries, wrong types."
    " Answer with one ```python code block with the whole program."
)
AS_THE_TEST_SAYS = because("note", text="as the test says")
UNSEEN = ("caesar_cipher", "add_months", "parse_size", "Stack", "fibonacci_up_to", "luhn_valid")


@pytest.fixture
async def harness(database: Database, gemini: str) -> AsyncIterator[HealingHarness]:
    async with open_healing_harness(database) as opened:
        yield opened


async def diet(harness: HealingHarness, agent: str = "worker") -> Result:
    return await Optimizer(harness.context).run(Trigger(trigger=SHORTENING, agent=agent))  # type: ignore[typeddict-item]


async def fattened(harness: HealingHarness) -> str:
    text = (await harness.live()).text.strip()
    fat = f"{FILLERS[0]} {text} {FILLERS[1]} {FILLERS[2]}"
    await harness.put_live(fat)
    return fat


async def quality(harness: HealingHarness) -> int:
    """Return on how many unseen tasks the service does well."""
    return sum(passed(each) for each in await harness.run(*UNSEEN))


@pytest.mark.usefixtures("repeatable")
async def test_fillers_go_and_nothing_that_is_needed(harness: HealingHarness) -> None:
    fat = await fattened(harness)
    before = await quality(harness)
    result = await diet(harness)
    assert result["outcome"] == "canary", await harness.receipt(result)
    await harness.put_live((await harness.versions())[0].text)  # as when the canary is promoted
    thin = (await harness.live()).text
    assert any(each not in thin for each in FILLERS)
    assert len(thin) < len(fat)
    assert await quality(harness) >= before - 1
    healing = await harness.healing(result)
    assert healing.calls_used <= 600
    record = await harness.receipt(result)
    assert (record["trigger"], record["healed_cases"]) == (SHORTENING, [])
    assert record["gates"][-1]["pairs"] == 60
    await agrees(harness, result, "shortening: sentences", "gates: cand", "last step", "release")


async def test_a_prompt_without_a_needless_sentence_stays(harness: HealingHarness) -> None:
    await harness.put_live(LEAN)
    before = await harness.log()
    result = await diet(harness)
    assert await harness.log() == before
    # A few train cases may overlook that a sentence is missed: then it is the gate that finds it.
    if result["outcome"] == "healthy":
        assert result["reason"] == because("no_sentence_removable", sentences=4, kept=0, missed=4)
    else:
        assert result["outcome"] == "rejected", await harness.receipt(result)
    await agrees(harness, result, "shortening: sentences", "candidate 1: fate", "outcome", "cost")
    again = await diet(harness)
    assert (again["outcome"], "healing_id" in again) == ("cooling_down", False)


@pytest.mark.chaos
async def test_what_the_screen_overlooks_the_gate_finds(
    harness: HealingHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever train cases say, half is tried after all was too much, and then the prompt stays."""
    monkeypatch.setattr(ablation, "_is_lost", lambda _: False)
    monkeypatch.setattr(ablation, "_judged", lambda _: ("", AS_THE_TEST_SAYS))
    await harness.put_live(LEAN)
    before = await harness.log()
    result = await diet(harness)
    assert (result["outcome"], await harness.log()) == ("rejected", before)
    assert result["reason"]["code"] == "sentences_needed"
    gates = (await harness.receipt(result))["gates"]
    assert [len(each["without"]) for each in await tried(harness, result)] == [4, 2]
    assert max(each["pairs"] for each in gates) < 30
    await agrees(harness, result, "gates: candidates", "last step", "candidate 7: fate")


@pytest.mark.chaos
async def test_what_was_healed_before_may_not_be_lost(
    harness: HealingHarness, gemini: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await harness.put_live(await defect(gemini, "hello-world"))
    await harness.run()
    healed = await harness.receipt(await harness.heal())
    pinned = {each["id"] for each in healed["healed_cases"]}
    assert pinned
    await harness.put_live(LEAN)
    monkeypatch.setattr(ablation, "_is_lost", lambda _: False)
    monkeypatch.setattr(ablation, "_judged", lambda _: ("", AS_THE_TEST_SAYS))
    result = await diet(harness)
    record = await harness.receipt(result)
    lost = next(each for each in record["gates"][0]["pair_results"] if each["repeats"])
    assert lost["case_id"] in set(record["split"]["pinned"]) & pinned
    assert False in lost["repeats"]
    reason = because("healed_case_lost", case_id=lost["case_id"], takes=3)
    assert (result["outcome"], record["gates"][0]["reason"]) == ("rejected", reason)
    assert {0, 1} <= {each["take"] for each in record["trials"]}
    await agrees(harness, result, "gate of candidate 6", "gates: candidates")
    await harness.execute("UPDATE trials SET passed = true WHERE take > 0")
    assert any(each.startswith("gate of") for each in await disagreeing(harness, result))


async def tried(harness: HealingHarness, result: Result) -> list[dict[str, Any]]:
    """Return what went to a gate."""
    record = await harness.receipt(result)
    at = {each["ordinal"]: each for each in record["candidates"]}
    return [at[each["ordinal"]] for each in record["gates"]]


async def test_a_prompt_of_one_sentence_is_left_alone(harness: HealingHarness) -> None:
    await harness.put_live("You write complete Python with type hints and docstrings.")
    result = await diet(harness)
    assert (result["outcome"], result["reason"]["code"]) == ("healthy", "single_sentence")
    assert await harness.healings() == []


async def test_no_diet_by_the_word_of_a_judge_who_passes_everything(
    harness: HealingHarness, gemini: str
) -> None:
    await fattened(harness)
    await control(gemini, scenario="judge-lenient")
    result = await diet(harness)
    assert result["outcome"] == "frozen"
    assert result["reason"]["code"] == "judge_unreliable"
    await agrees(harness, result, "outcome")


@pytest.mark.usefixtures("repeatable")
@pytest.mark.chaos
async def test_the_managers_prompt_is_shortened_too(harness: HealingHarness) -> None:
    result = await diet(harness, "manager")
    assert (result["agent"], result["outcome"]) == ("manager", "canary")
    assert (await harness.receipt(result))["gates"][-1]["pairs"] == 30
    await agrees(harness, result, "shortening: sentences", "gates: candidates")


async def test_a_tampered_sentence_shows(harness: HealingHarness) -> None:
    await harness.put_live(LEAN)
    result = await diet(harness)
    await tampered(harness, "candidates", "0", "reason", value=because("nothing_left"))
    assert await disagreeing(harness, result) == {"candidate 1: fate"}


@pytest.mark.chaos
async def test_the_command(harness: HealingHarness, service_env: dict[str, str]) -> None:
    for options in (("--agent", "evaluator"), ("--force",)):
        code, out, err = await finished(*selfheal("optimize", "--diet", *options), env=service_env)
        assert (code, out, err.count("\n")) == (2, "", 1), err
    await fattened(harness)
    env = {**service_env, "SELFHEAL_ROLLOUT": "instant"}
    for _ in range(3):  # by chance a case is lost that has nothing to do with what was cut
        code, out, err = await finished(*selfheal("optimize", "--diet"), env=env, seconds=120)
        assert (code, {json.loads(each)["level"] for each in err.splitlines()}) == (0, {"info"})
        line = json.loads(out)
        if line["outcome"] == "promoted":
            break
    assert (line["agent"], line["outcome"], line["to_version"]) == ("worker", "promoted", 3)
    show = selfheal("healings", "show", line["healing_id"])
    code, story, _ = await finished(*show, "--markdown", env=env)
    assert (code, story.startswith("# Shortening of the worker: promoted\n")) == (0, True)
    assert "| removable: lost none of" in story
    assert FILLERS[0] in story
    code, out, err = await finished(*show, "--replay", env=env)
    assert (code, err, out.strip().endswith("agree.")) == (0, "", True), out
