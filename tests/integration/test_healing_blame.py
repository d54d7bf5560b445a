"""Each of the three prompts can be the broken one: the right one is blamed, and healed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from bench.harness.healing import KNOWN, HealingHarness, ask, defect, open_healing_harness, passed
from bench.harness.service import Failed, store_run
from selfheal.db import judge_checks, runs
from selfheal.db.pool import Database
from selfheal.db.types import Agent
from selfheal.optimizer.dataset.golden_verdicts import (
    Agreement,
    agreement,
    ask_judge,
    golden_verdicts,
)
from tests.conftest import control
from tests.support.chaos import chaos_only

SOUND_SHARE = 0.8


@pytest.fixture
async def harness(
    database: Database, gemini: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[HealingHarness]:
    monkeypatch.setenv("SELFHEAL_ROLLOUT", "instant")
    async with open_healing_harness(database) as opened:
        yield opened


async def run(harness: HealingHarness, *names: str) -> list[bool]:
    """Run tasks with all their examples stated, so that facts tell how they went."""
    return [passed(await harness.service.run(ask(name, examples=6))) for name in names]


async def known_judge(harness: HealingHarness) -> None:
    """Record that the judge was sound under the first evaluator prompt."""
    async with harness.database.connection() as connection:
        model = harness.context.agent.evaluator.model.name
        await judge_checks.add(
            connection, model=model, prompt_version=1, asked=117, agreed=109, drifted=False
        )


async def agreed(harness: HealingHarness) -> Agreement:
    model = harness.context.agent.evaluator.model
    prompt = (await harness.live("evaluator")).text
    return agreement(await ask_judge(model, prompt, golden_verdicts(), 8))


async def attribution(harness: HealingHarness, result: Any) -> dict[str, Any]:
    """Return why the healing found an agent to be the cause, and on what evidence."""
    found: dict[str, Any] = (await harness.receipt(result))["findings"]["attribution"]
    return found


@pytest.mark.parametrize("name", ["renaming-manager", *chaos_only("short-signature-manager")])
async def test_a_broken_manager_heals(harness: HealingHarness, gemini: str, name: str) -> None:
    await harness.put_live_alone(await defect(gemini, name), "manager")
    assert sum(await run(harness, *KNOWN)) <= 1
    result = await harness.heal()
    assert (result["agent"], result["outcome"], result["to_version"]) == ("manager", "promoted", 3)
    healing = await harness.healing(result)
    assert (healing.agent, healing.incumbent_version) == ("manager", 2)
    assert healing.calls_used <= 260
    assert (await attribution(harness, result))["evidence"]["causes"]["plan_contradicts"] > 0
    receipt = await harness.receipt(result)
    assert receipt["findings"]["blame"] == "manager"
    assert "catchier" not in (await harness.live("manager")).text
    assert ((await harness.live("manager")).version, (await harness.live()).version) == (3, 1)
    assert sum(await run(harness, *KNOWN)) >= 4


@pytest.mark.chaos
async def test_a_manager_edited_in_a_hurry_is_reverted(
    harness: HealingHarness, gemini: str
) -> None:
    assert all(await run(harness, *KNOWN))
    await harness.put_live(await defect(gemini, "renaming-manager"), "manager")
    assert not any(await run(harness, *KNOWN[:3]))
    result = await harness.heal()
    assert (result["agent"], result["outcome"], result["to_version"]) == ("manager", "promoted", 1)
    evidence = (await attribution(harness, result))["evidence"]
    tried, of = evidence["reverted"]["manager"]
    assert tried == of > 0
    stages = {row["stage"] for row in (await harness.receipt(result))["trials"]}
    assert stages == {"blame", "gate"}


@pytest.mark.parametrize("name", ["harsh-evaluator", *chaos_only("length-evaluator")])
async def test_a_broken_evaluator_heals(harness: HealingHarness, gemini: str, name: str) -> None:
    await harness.put_live(await defect(gemini, name), "evaluator")
    await harness.run()
    before = await agreed(harness)
    result = await harness.heal()
    assert (result["agent"], result["outcome"]) == ("evaluator", "promoted")
    receipt = await harness.receipt(result)
    assert receipt["judge"]["low"]
    proof = [*receipt["split"]["train"], *receipt["split"]["hold_out"]]
    assert all(each.startswith("verdict:") for each in proof)
    assert {row["case_id"].partition(":")[0] for row in receipt["trials"]} == {"verdict"}
    assert (await agreed(harness)).share >= SOUND_SHARE > before.share


@pytest.mark.parametrize(
    "name", ["lenient-evaluator", *chaos_only("harsh-evaluator", "style-evaluator")]
)
async def test_an_evaluator_edited_in_a_hurry_is_reverted(
    harness: HealingHarness, gemini: str, name: str
) -> None:
    await known_judge(harness)
    await harness.put_live(await defect(gemini, name), "evaluator")
    await harness.run(*KNOWN[:3])
    result = await harness.heal(forced=name != "harsh-evaluator")
    assert (result["agent"], result["outcome"]) == ("evaluator", "promoted")
    assert (await harness.live("evaluator")).version == 1
    receipt = await harness.receipt(result)
    assert (receipt["judge"]["drifted"], receipt["judge"]["sound_version"]) == (True, 1)
    assert receipt["candidates"][0]["origin"] == "last_good"
    assert await harness.log() == [(await harness.log())[0]]  # the worker's stays as it was


async def test_asked_for_the_worker_an_unsound_evaluator_freezes(
    harness: HealingHarness, gemini: str
) -> None:
    await known_judge(harness)
    await harness.put_live(await defect(gemini, "harsh-evaluator"), "evaluator")
    await harness.run(*KNOWN[:3])
    assert (await harness.heal(agent="worker"))["outcome"] == "frozen"
    assert (await harness.live("evaluator")).version == 2


@pytest.mark.parametrize("name", ["hello-world", *chaos_only("print-only", "trusting")])
async def test_a_broken_worker_is_still_to_blame(
    harness: HealingHarness, gemini: str, name: str
) -> None:
    await harness.put_live(await defect(gemini, name))
    await run(harness, *KNOWN)
    result = await harness.heal()
    assert (result["agent"], result["outcome"]) == ("worker", "promoted")
    assert (await harness.healing(result)).calls_used <= 200


@pytest.mark.chaos
async def test_worker_and_manager_are_distinguished_by_what_helps(
    harness: HealingHarness, gemini: str
) -> None:
    """Both were edited, and only one of the edits did harm."""
    assert all(await run(harness, *KNOWN))
    await harness.put_live((await harness.live("manager")).text + " Be clear.", "manager")
    await harness.put_live(await defect(gemini, "hello-world"))
    assert not any(await run(harness, *KNOWN[:3]))
    result = await harness.heal()
    assert result["outcome"] == "promoted", result
    assert (result["agent"], result["outcome"], result["to_version"]) == ("worker", "promoted", 1)


@pytest.mark.chaos
async def test_an_agent_can_be_asked_for(harness: HealingHarness, gemini: str) -> None:
    await harness.put_live(await defect(gemini, "renaming-manager"), "manager")
    await run(harness, *KNOWN[:3])
    result = await harness.heal(agent="manager")
    assert (result["agent"], result["outcome"]) == ("manager", "promoted")
    assert "attribution" not in (await harness.receipt(result))["findings"]


async def test_people_may_speak_against_the_judge(harness: HealingHarness, gemini: str) -> None:
    """What people marked joins the cases; what the judge itself said of these runs does not."""
    await harness.put_live(await defect(gemini, "harsh-evaluator"), "evaluator")
    finished = await harness.run(*KNOWN)
    async with harness.database.connection() as connection:
        for each in finished:
            await runs.add_feedback(connection, each.run_id, score=0.9)
            await runs.add_feedback(connection, each.run_id, score=1.0)
        marks = await runs.marked(connection, 10)
    assert list(marks.values()) == pytest.approx([0.95] * len(KNOWN))
    result = await harness.heal()
    assert (result["agent"], result["outcome"]) == ("evaluator", "promoted")
    split = (await harness.receipt(result))["split"]
    cases = [case for side in ("train", "hold_out", "regression") for case in split[side]]
    assert sum(case.startswith("people:") for case in cases) == len(KNOWN)


async def test_an_evaluator_release_resets_every_window(
    harness: HealingHarness, gemini: str
) -> None:
    await harness.put_live(await defect(gemini, "hello-world"))
    await harness.run(*KNOWN)
    live: dict[Agent, int] = {"manager": 1, "worker": 2, "evaluator": 1}

    async def seen() -> tuple[int, dict[int, tuple[int, int]]]:
        async with harness.database.connection() as connection:
            await connection.execute("UPDATE runs SET finished_at = finished_at")
            window = await runs.countable(connection, live, limit=10)
            return len(window), await runs.record(
                connection, "worker", {**live, "worker": 1}, minutes=30
            )

    assert await seen() == (5, {2: (5, 0)})
    live["evaluator"] = await harness.put_live("Compare the code with the request.", "evaluator")
    assert await seen() == (0, {})
    assert (await harness.heal())["outcome"] == "healthy"
    await harness.run(*KNOWN[:3])
    assert await seen() == (3, {2: (3, 0)})


async def test_what_broke_off_before_the_evaluator_was_released_does_not_count(
    harness: HealingHarness,
) -> None:
    """Such runs have no evaluator, and no verdict that could be compared."""
    live: dict[Agent, int] = {"manager": 1, "worker": 1, "evaluator": 1}

    async def fail() -> int:
        async with harness.database.transaction() as connection:
            run_id = uuid4()
            await store_run(connection, run_id, "r")
            versions = {"manager": 1, "worker": 1}
            await runs.finish(
                connection, run_id, runs.RunResult(outcome="output", prompt_versions=versions)
            )
            return len(await runs.countable(connection, live, limit=10))

    assert await fail() == 1
    live["evaluator"] = await harness.put_live("Compare the code with the request.", "evaluator")
    assert await fail() == 1


@pytest.mark.chaos
async def test_a_killed_healing_of_the_evaluator_is_resumed(
    database: Database, gemini: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFHEAL_LEASE_SECONDS", "1")
    async with open_healing_harness(database) as harness:
        await harness.put_live(await defect(gemini, "harsh-evaluator"), "evaluator")
        await harness.run(*KNOWN)
        for state in ("triage", "blame", "screen"):
            ended = asyncio.Event()

            def watch(seen: str, _: Any, state: str = state, ended: asyncio.Event = ended) -> None:
                if seen == state:
                    ended.set()

            healing = asyncio.create_task(harness.heal(watch))
            await asyncio.wait_for(ended.wait(), 60)
            healing.cancel()
            await asyncio.gather(healing, return_exceptions=True)
        result = await harness.heal()
        assert (result["agent"], result["outcome"]) == ("evaluator", "promoted")
        (row,) = await harness.healings()
        assert (row.agent, row.incumbent_version, row.to_version) == ("evaluator", 2, 1)
        assert row.calls_used <= row.calls_reserved


async def test_a_sound_judge_is_left_alone(harness: HealingHarness, gemini: str) -> None:
    """The diagnostician's word against the evaluator is not enough."""
    await control(gemini, scenario="null")
    finished = await harness.run(*KNOWN)
    assert not any(isinstance(each.result, Failed) for each in finished)
    result = await harness.heal(forced=True)
    assert result["outcome"] == "rejected"
    assert (await harness.live("evaluator")).version == 1
