"""Answers that cannot be used: which are repeated, and what class of error each is."""

import asyncio
import json
import time
from contextlib import aclosing
from typing import Any

import pytest
from google.genai.types import BlockedReason, FinishReason

from bench.harness.scripted_model import Asked, said, serve_scripted_model
from selfheal.app.errors import (
    InfrastructureError,
    OutputError,
    RequestError,
    RunError,
)
from selfheal.app.llm import answers
from selfheal.app.llm.client import CALLS_AN_ANSWER, Model
from selfheal.app.llm.usage import metered
from tests.support.model_calls import NAME, Mark, ask, broken, failing


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "secret-key-of-this-test")


def ended(reason: str | None, **content: Any) -> dict[str, Any]:
    """Return the body of an answer that ended for a reason, with these fields of its content."""
    body = said("")
    body["candidates"] = [{"content": content, "index": 0}]
    if reason:
        body["candidates"][0]["finishReason"] = reason
    return body


def blocked(reason: str) -> dict[str, Any]:
    return {"promptFeedback": {"blockReason": reason}}


THOUGHT = {"text": "Let me think.", "thought": True}
# What no prompt can cause.
MALFORMED = {
    "no parts": ended("STOP"),
    "parts of nothing": ended("STOP", role="model", parts=[]),
    "a blank": said("  "),
    "a thought alone": ended("STOP", parts=[THOUGHT]),
    "no content": {"candidates": [{"finishReason": "STOP", "index": 0}]},
    "no reason": ended(None),
    "no candidate": {"candidates": []},
    "nothing": {},
    **{
        each.value: ended(each.value)
        for each in FinishReason
        if each.value.lower() not in ("stop", "max_tokens", *answers._BLOCKED)
    },
}
BLOCKED = {
    **{each.value: blocked(each.value) for each in BlockedReason},
    **{
        f"while answering, {each}": ended(each)
        for each in ("SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII")
    },
}
UNFIT = {
    "cut off, and it parses": said('{"mark": 0.5}', "MAX_TOKENS"),
    "cut off": said('{"mark": 0.', "MAX_TOKENS"),
    "half": said('{"mark": 0.5'),
    "out of range": said('{"mark": 7}'),
    "another": said('{"other": 1}'),
    "prose": said("no JSON at all"),
    "prose before it": said('Here it is: {"mark": 0.5}'),
    "a fence that stays open": said('```json\n{"mark": 0.5}'),
    "two fences": said('```json\n{"mark": 0.5}\n```\n```json\n{"mark": 0.5}\n```'),
}
UNUSABLE: list[tuple[dict[str, Any], type[RunError]]] = [
    *((each, InfrastructureError) for each in MALFORMED.values()),
    *((each, RequestError) for each in BLOCKED.values()),
    *((each, OutputError) for each in UNFIT.values()),
]


@pytest.mark.parametrize(
    ("body", "expected"), UNUSABLE, ids=[f"{x}" for x in (*MALFORMED, *BLOCKED, *UNFIT)]
)
async def test_an_unusable_answer_is_asked_for_once_more_and_then_is_of_its_class(
    body: dict[str, Any], expected: type[RunError], monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies: list[Any] = []
    async with serve_scripted_model(lambda _: bodies.pop(0)) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        async with aclosing(Model((NAME,), timeout=20.0)) as model:
            bodies += [(200, body), {"mark": 0.5}]
            with metered() as cost:
                answer = await model.fill("s", "h", Mark)
            assert answer.content == Mark(mark=0.5)
            assert answer.usage == cost
            assert cost["calls"] == CALLS_AN_ANSWER
            bodies += [(200, body), (200, body), {"mark": 0.5}]
            with metered() as cost, pytest.raises(expected):
                await model.fill("s", "h", Mark)
            assert (cost["calls"], len(bodies)) == (CALLS_AN_ANSWER, 1)


@pytest.mark.parametrize("status", [408, 409, 425, 499, 500, 502, 503, 504])
async def test_a_status_that_passes_by_itself_is_waited_out(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, server = await ask(failing(1, broken(status, "CANCELLED")), monkeypatch)
    assert (answer.content, len(server.asked)) == ("done", 2)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>proxy</html>",
        b'{"candidates": [',
        json.dumps(said("[" * 100_000)).encode(),
    ],
    ids=["empty", "a page", "cut", "nested deeply"],
)
async def test_a_body_that_cannot_be_read_is_asked_for_once_more(
    raw: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = failing(1, (200, raw), {"mark": 0.5})  # type: ignore[arg-type]
    answer, server = await ask(reply, monkeypatch, shape=Mark)
    assert (answer.content, len(server.asked)) == (Mark(mark=0.5), 2)
    with metered() as cost, pytest.raises(InfrastructureError):
        await ask(lambda _: (200, raw), monkeypatch, shape=Mark)
    assert cost["calls"] == CALLS_AN_ANSWER


@pytest.mark.parametrize("fence", ["```json\n%s\n```", "```\n%s\n```\n", "\n```JSON\n%s```"])
async def test_an_answer_in_a_fence_and_nothing_else_is_read(
    fence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, server = await ask(lambda _: fence % '{"mark": 0.25}', monkeypatch, shape=Mark)
    assert (answer.content, len(server.asked)) == (Mark(mark=0.25), 1)


async def test_a_fall_back_is_asked_where_the_first_model_answers_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def reply(asked: Asked) -> Any:
        return (200, ended("STOP")) if asked.model == "gemini-3.8-flash" else "from the other"

    names = (NAME, "google_genai:gemini-3.8-pro")
    answer, _ = await ask(reply, monkeypatch, names=names)
    assert (answer.content, answer.usage["calls"]) == ("from the other", CALLS_AN_ANSWER)


async def test_a_retry_that_fails_leaves_the_first_answers_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bodies = [(200, said("half", "MAX_TOKENS")), *[broken(404, "NOT_FOUND")] * 9]
    with pytest.raises(OutputError, match="did not finish its answer: MAX_TOKENS"):
        await ask(lambda _: bodies.pop(0), monkeypatch)


async def test_the_retry_is_within_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    async def reply(_: Asked) -> Any:
        if server_asked:
            await done.wait()
        server_asked.append(1)
        return 200, ended("STOP")

    server_asked, done = list[int](), asyncio.Event()
    async with serve_scripted_model(reply) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        async with aclosing(Model((NAME,), timeout=1.5)) as model:
            begun = time.monotonic()
            with pytest.raises(InfrastructureError, match="gave an empty answer"):
                await model.write("s", "h")
            assert time.monotonic() - begun < 5.0
        done.set()
