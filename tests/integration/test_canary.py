"""Canary, watch and roll-back on a real database, with runs as the service records them."""

import asyncio
from collections import Counter
from uuid import UUID, uuid4

import pytest

from bench.harness.healing import KNOWN, defect, open_healing_harness
from bench.harness.processes import finished, selfheal
from bench.harness.service import store_run
from selfheal.db import healings, pauses, prompts, runs
from selfheal.db.pool import Database
from selfheal.db.prompts import Prompt, Terms
from selfheal.db.reasons import because
from selfheal.db.runs import RunResult
from selfheal.graph.context import ReleasedPrompts
from selfheal.optimizer.receipt.schema import receipt_of
from selfheal.optimizer.rollout.monitor import monitor_release, monitor_releases
from selfheal.optimizer.rollout.preconditions import blocked_by
from selfheal.optimizer.wording import sentence
from tests.conftest import control


async def added(database: Database, text: str = "Better.") -> Prompt:
    async with database.connection() as connection:
        return await prompts.add(connection, "worker", text, author="test")


async def released(database: Database, version: int, action: str, **terms: object) -> None:
    async with database.transaction() as connection:
        head = await prompts.head(connection, "worker")
        await prompts.release(
            connection,
            "worker",
            version,
            after=head,
            action=action,  # type: ignore[arg-type]
            actor="test",
            terms=Terms(**terms),  # type: ignore[arg-type]
        )


async def ran(database: Database, score: float, *, version: int | None = None) -> int:
    """Record a run as the service does; return the worker's version that it had."""
    thread = uuid4()
    if version is None:
        version = (await ReleasedPrompts(database, thread).released("worker")).version
    run_id, passed = uuid4(), score >= 0.6
    evaluation = {
        "score": score, "rule_score": score, "llm_score": score, "passed": passed,
        "checks": [], "reasons": [], "execution": {},
    }  # fmt: skip
    async with database.transaction() as connection:
        await store_run(connection, run_id, "x", thread_id=thread)
        finish = RunResult(
            "ok" if passed else "failed",
            prompt_versions={"manager": 1, "worker": version, "evaluator": 1},
            evaluation=evaluation,
        )
        await runs.finish(connection, run_id, finish)
    return version


async def live(database: Database) -> tuple[int, int, str]:
    async with database.connection() as connection:
        head = await prompts.head(connection, "worker")
    return head.version, head.percent, head.action


async def test_threads_stick_to_their_arm_and_divide_as_asked(database: Database) -> None:
    two = await added(database)
    await released(database, two.version, "canary", percent=30)
    threads = [uuid4() for _ in range(400)]

    async def version(thread: UUID | None) -> int:
        return (await ReleasedPrompts(database, thread).released("worker")).version

    seen = [await version(each) for each in threads]
    assert 80 <= Counter(seen)[2] <= 165
    assert [await version(each) for each in threads[:50]] == seen[:50]
    assert await version(None) == 1
    assert (await ReleasedPrompts(database, threads[0]).released("manager")).version == 1


async def test_a_good_canary_is_promoted(database: Database) -> None:
    await released(database, (await added(database)).version, "canary", percent=50)
    while (await live(database))[2] == "canary":
        version = await ran(database, 0.95)
        assert version in (1, 2)
        await monitor_releases(database)
    assert await live(database) == (2, 100, "promote")
    assert (await ran(database, 0.9)) == 2
    async with database.connection() as connection:
        assert await prompts.before(connection, await prompts.head(connection, "worker")) == 1


async def test_a_bad_canary_is_taken_back(database: Database) -> None:
    await released(database, (await added(database)).version, "canary", percent=50)
    for _ in range(50):
        version = await ran(database, 0.0)
        if version == 1:
            await ran(database, 0.9, version=1)
        await monitor_releases(database)
        if (await live(database))[2] == "take_back":
            break
    assert await live(database) == (1, 100, "take_back")
    assert await monitor_release(database, "worker") is None  # what was good is not watched


async def harmful(database: Database, **terms: object) -> None:
    """Let version 1 do well, then activate another by hand that does badly."""
    for _ in range(30):
        await ran(database, 0.9, version=1)
    text = f"Worse {uuid4()}."
    await released(database, (await added(database, text)).version, "activate", **terms)
    for _ in range(15):
        await ran(database, 0.3)


async def test_a_harmful_version_activated_by_hand_is_taken_back(database: Database) -> None:
    await harmful(database)
    steps = await asyncio.gather(*(monitor_release(database, "worker") for _ in range(5)))
    assert await live(database) == (1, 100, "take_back")
    assert [each.action for each in steps if each].count("take_back") == 1
    async with database.connection() as connection:
        actions = [each.action for each in await prompts.releases(connection, "worker")]
    assert actions == ["take_back", "activate", "seed"]


async def test_a_pinned_one_stays(database: Database) -> None:
    await harmful(database, pinned=True)
    step = await monitor_release(database, "worker")
    assert step is not None
    assert (step.action, (await live(database))[0]) == ("hold", 2)


async def test_two_that_took_themselves_back_put_healing_on_hold(database: Database) -> None:
    await harmful(database)
    await monitor_releases(database)
    assert await blocked_by(database) is None
    await harmful(database)
    await monitor_releases(database)
    waiting = await blocked_by(database)
    assert waiting is not None
    assert waiting.outcome == "paused"
    two = because("releases_rolled_back", releases=2, hours=24)
    assert waiting.reason == because("operator_pause", cause=two, actor="optimizer")
    async with database.connection() as connection:
        await pauses.switch(
            connection, paused=False, reason=because("note", text="looked into"), actor="test"
        )
    assert await blocked_by(database) is None
    await harmful(database)
    await monitor_releases(database)
    assert await blocked_by(database) is None  # the count begins anew


async def test_verdicts_of_another_judge_do_not_compare(database: Database) -> None:
    await harmful(database)
    async with database.transaction() as connection:
        judge = await prompts.add(connection, "evaluator", "Judge.", author="test")
        await prompts.release(
            connection,
            "evaluator",
            judge.version,
            after=await prompts.head(connection, "evaluator"),
            action="activate",
            actor="test",
        )
    step = await monitor_release(database, "worker")
    assert step is not None
    assert step.action == "wait"


@pytest.fixture
async def staged(
    database: Database, gemini: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, str]:
    """Return a healing whose candidate waits for a person, and another that was refused."""
    monkeypatch.setenv("SELFHEAL_ROLLOUT", "manual")
    async with open_healing_harness(database) as harness:
        await harness.put_live(await defect(gemini, "hello-world"))
        await harness.run(*KNOWN[:3])
        result = await harness.heal()
        assert result["outcome"] == "needs_approval"
    return result["healing_id"], str(result["to_version"])


async def test_a_person_approves_or_refuses_and_pauses(
    database: Database, gemini: str, staged: tuple[str, str], service_env: dict[str, str]
) -> None:
    healing, version = staged

    async def said(*words: str, **more: str) -> tuple[int, str]:
        code, out, err = await finished(*selfheal("healings", *words), env={**service_env, **more})
        return code, out + err

    assert (await said("approve", str(uuid4())))[0] == 2
    code, told = await said("approve", healing)
    assert (code, f"version {version} released to 50 %" in told) == (0, True)
    assert await live(database) == (int(version), 50, "canary")
    async with database.connection() as connection:
        assert (await healings.get(connection, UUID(healing))).outcome == "canary"
    assert (await said("reject", healing))[0] == 2
    waiting = await blocked_by(database)
    assert waiting is not None
    assert waiting[0] == "cooling_down"
    for _ in range(200):
        await ran(database, 0.9)
        await monitor_releases(database)
        if (await live(database))[2] == "promote":
            break
    async with database.connection() as connection:
        row = await healings.get(connection, UUID(healing))
    steps = [(each["outcome"], each["actor"]) for each in row.follow_ups]
    assert (row.outcome, steps) == ("promoted", [("canary", "cli"), ("promoted", "optimizer")])
    assert row.follow_ups[0]["reason"] == because("approved", cause=None)
    receipt = receipt_of(row)
    assert (row.reason, receipt["outcome"]) == (receipt["reason"], "needs_approval")
    code, told = await said("show", healing)
    assert told.startswith("# Healing of the worker: promoted"), "no longer that it waits"
    assert f"- decided {receipt['closed_at'][:19]} UTC: needs_approval: " in told
    at = [f"{each['at'][:19]} UTC, by `{each['actor']}`" for each in row.follow_ups]
    assert all(f"- then {each}" in told for each in at)
    assert (await said("show", healing, "--replay"))[0] == 0
    (listed,) = [line for line in (await said("list"))[1].splitlines() if healing in line]
    assert sentence(row.follow_ups[-1]["reason"])[:40] in listed
    assert "approval is needed" not in listed
    assert (await said("pause", "--reason", "the model is moved"))[0] == 0
    async with open_healing_harness(database) as harness:
        paused = await harness.heal(forced=True)
        assert (paused["outcome"], "the model is moved" in sentence(paused["reason"])) == (
            "paused",
            True,
        )
        assert (await said("resume"))[0] == 0
        await control(gemini, scenario="sound")
        assert (await harness.heal())["outcome"] == "healthy"


@pytest.mark.chaos
async def test_a_refused_candidate_is_not_live(
    database: Database, staged: tuple[str, str], service_env: dict[str, str]
) -> None:
    code, _, err = await finished(*selfheal("healings", "reject", staged[0]), env=service_env)
    assert code == 0, err
    async with database.connection() as connection:
        assert (await healings.get(connection, UUID(staged[0]))).outcome == "rejected"
    assert (await live(database))[0] == 2
    code, _, err = await finished(*selfheal("healings", "approve", staged[0]), env=service_env)
    assert (code, "nothing to decide" in err) == (2, True)
