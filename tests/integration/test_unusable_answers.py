"""A prompt that makes answers unusable is rolled back, and the service is up again by itself."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from bench.harness.healing import HealingHarness, open_healing_harness
from bench.harness.scripted_model import Asked, agent_reply, said, serve_scripted_model
from bench.harness.service import Failed, Finished
from selfheal.db import prompts, runs
from selfheal.db.pool import Database
from selfheal.db.prompts import Terms
from selfheal.db.types import Agent
from selfheal.optimizer.rollout.monitor import monitor_releases

BROKEN = "Answer in another form."
IDENTITY = "def double(value: int) -> int:\n    return 2 * value\n"


def marks_of_ten(asked: Asked) -> Any:
    return {"correctness": 9, "completeness": 8, "readability": 10, "reasons": []}


def plan_in_prose(asked: Asked) -> Any:
    return "I would begin with a function, and then test it."


def cut_off(asked: Asked) -> Any:
    return 200, said("def double(", "MAX_TOKENS")


def prose(asked: Asked) -> Any:
    return "I would write a function."


def answered(body: Any, _: Asked) -> Any:
    return body


def spoilt(agent: Agent, answer: Callable[[Asked], Any]) -> Callable[[Asked], Any]:
    """Return a reply that answers in another form where the agent's prompt is the broken one."""
    usual = agent_reply(IDENTITY, signature="def double(value: int) -> int")

    def reply(asked: Asked) -> Any:
        return answer(asked) if BROKEN in asked.system else usual(asked)

    return reply


async def activated(database: Database, agent: Agent, *, pinned: bool = False) -> None:
    """Release the broken prompt by hand."""
    async with database.transaction() as connection:
        added = await prompts.add(connection, agent, BROKEN, author="operator")
        head = await prompts.head(connection, agent)
        await prompts.release(
            connection,
            agent,
            added.version,
            after=head,
            action="activate",
            actor="cli",
            terms=Terms(pinned=pinned),
        )


async def ran(harness: HealingHarness) -> Finished:
    """Run a request, and look at the releases as the service does after each run."""
    finished = await harness.service.run({"request": "Write double(value)."})
    await monitor_releases(harness.database)
    return finished


@pytest.mark.parametrize(
    ("agent", "answer", "outcome"),
    [
        ("evaluator", marks_of_ten, "evaluation"),
        ("manager", plan_in_prose, "output"),
        ("worker", prose, "output"),
        ("worker", cut_off, "output"),
    ],
)
async def test_a_prompt_that_spoils_answers_is_rolled_back(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    agent: Agent,
    answer: Callable[[Asked], Any],
    outcome: str,
) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "key-of-this-test")
    async with serve_scripted_model(spoilt(agent, answer)) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        async with open_healing_harness(database) as harness:
            for _ in range(10):
                assert not isinstance((await ran(harness)).result, Failed)
            await activated(database, agent)
            failed = []
            while (await harness.live(agent)).version == 2:
                failed.append((await ran(harness)).result)
                assert len(failed) <= 5, "it is not rolled back"
            assert {each.outcome for each in failed if isinstance(each, Failed)} == {outcome}
            assert not isinstance((await ran(harness)).result, Failed), "the service is up again"
            async with database.connection() as connection:
                head = await prompts.head(connection, agent)
                logged = await runs.recent(connection, limit=20)
    assert (head.version, head.action, head.actor) == (1, "take_back", "optimizer")
    assert head.reason is not None
    assert head.reason["code"] == "unusable_answers"
    assert head.reason["values"] == {
        **head.reason["values"],
        "unusable": len(failed),
        "answers": len(failed),
        "unusable_before": 0,
        "answers_before": 10,
    }
    assert [each.unusable for each in logged].count(agent) == len(failed)
    assert {each.unusable for each in logged} == {agent, None}


async def test_a_pinned_prompt_stays(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "key-of-this-test")
    async with serve_scripted_model(spoilt("evaluator", marks_of_ten)) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        async with open_healing_harness(database) as harness:
            for _ in range(10):
                await ran(harness)
            await activated(database, "evaluator", pinned=True)
            for _ in range(6):
                await ran(harness)
            assert (await harness.live("evaluator")).version == 2


async def test_an_outage_is_not_taken_for_a_prompt(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls that fail, and answers that the server garbles or leaves empty, have other causes."""
    monkeypatch.setenv("GOOGLE_API_KEY", "key-of-this-test")
    outages = [
        (200, said("")),
        (200, b"<html>overloaded</html>"),
        (200, said("{}", "OTHER")),
        (400, {"error": {"code": 400, "status": "FAILED_PRECONDITION", "message": "location"}}),
    ]
    for number, outage in enumerate(outages):
        reply = spoilt("evaluator", partial(answered, outage))
        async with serve_scripted_model(reply) as server:
            monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
            async with open_healing_harness(database) as harness:
                if not number:
                    for _ in range(10):
                        await ran(harness)
                    await activated(database, "evaluator")
                for _ in range(2):
                    assert isinstance((await ran(harness)).result, Failed)
                assert (await harness.live("evaluator")).version == 2, outage
    async with database.connection() as connection:
        assert {each.unusable for each in await runs.recent(connection)} == {None}
