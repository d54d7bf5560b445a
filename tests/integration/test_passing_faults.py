"""Faults of the model that pass by themselves are not charged to a prompt."""

from typing import Any

import pytest

from bench.harness.healing import open_healing_harness, passed
from bench.harness.scripted_model import Asked, agent_reply, said, serve_scripted_model
from bench.harness.service import Failed
from selfheal.db.pool import Database

CODE = 'def f() -> int:\n    """Return one."""\n    return 1\n'
REQUEST: Any = {"request": "Write f.", "examples": [{"call": "f()", "returns": "1"}]}
EMPTY = 200, {"candidates": [{"content": {}, "finishReason": "STOP", "index": 0}]}


@pytest.mark.parametrize("agent", ["manager", "worker"])
async def test_three_empty_answers_in_ten_lose_no_run_and_open_no_healing(
    agent: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a field report had it: 10 of 30 runs of a healthy worker were lost, and it was healed."""
    sound, calls = agent_reply(CODE, signature="def f() -> int"), list[int]()

    def reply(asked: Asked) -> Any:
        if "signature" in asked.fields if agent == "manager" else not asked.fields:
            calls.append(1)
            if len(calls) % 10 in (1, 4, 7):  # never two in a row
                return EMPTY
        return sound(asked)

    async with serve_scripted_model(reply) as server:
        monkeypatch.setenv("GOOGLE_API_KEY", "scripted")
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        async with open_healing_harness(database) as harness:
            finished = [await harness.service.run(REQUEST) for _ in range(14)]
            assert len(calls) == 20
            assert all(map(passed, finished))
            assert (await harness.heal())["outcome"] == "healthy"
            assert await harness.healings() == []


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (EMPTY[1], "infrastructure"),
        (said("", "MALFORMED_FUNCTION_CALL"), "infrastructure"),
        ({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}, "request"),
        (said("", "SAFETY"), "request"),
    ],
)
@pytest.mark.parametrize("agent", ["manager", "worker"])
async def test_answers_that_no_prompt_causes_are_no_failures_of_it(
    agent: str,
    body: dict[str, Any],
    outcome: str,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sound = agent_reply(CODE, signature="def f() -> int")

    def reply(asked: Asked) -> Any:
        struck = "signature" in asked.fields if agent == "manager" else not asked.fields
        return (200, body) if struck else sound(asked)

    async with serve_scripted_model(reply) as server:
        monkeypatch.setenv("GOOGLE_API_KEY", "scripted")
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        async with open_healing_harness(database) as harness:
            for _ in range(harness.settings.failure_threshold):
                result = (await harness.service.run(REQUEST)).result
                assert isinstance(result, Failed)
                assert result.outcome == outcome
            healed = await harness.heal()
            assert healed["outcome"] in ("healthy", "not_the_prompt")
            assert len(server.asked) <= 6 * harness.settings.failure_threshold
