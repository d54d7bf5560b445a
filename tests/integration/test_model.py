"""A model call through the real client: retries, refusals and fall-backs on the wire."""

import asyncio
import re
import time
from contextlib import aclosing
from typing import Any

import httpx
import httpx2
import pytest
from langchain_core.language_models import GenericFakeChatModel

from bench.harness.scripted_model import Asked, serve_scripted_model
from selfheal.app.errors import (
    InfrastructureError,
    ModelUnavailableError,
    RunError,
)
from selfheal.app.llm.client import Model
from selfheal.app.llm.errors import classify, reason
from selfheal.app.llm.models import models_for, open_model
from selfheal.server.settings import read_settings
from tests.support.model_calls import NAME, ask, broken, failing, rate_limit


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "secret-key-of-this-test")


async def test_the_prompt_is_the_system_instruction_and_usage_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer, server = await ask(lambda _: "hello", monkeypatch)
    assert answer.content == "hello"
    assert answer.usage == {"calls": 1, "input_tokens": 11, "output_tokens": 7}
    assert answer.model == "stand-in-1"
    assert (server.asked[0].system, server.asked[0].text) == ("s", "h")


async def test_a_rate_limit_is_waited_out_as_long_as_the_server_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = time.monotonic()
    answer, server = await ask(failing(1, rate_limit("2s")), monkeypatch)
    assert answer.content == "done"
    assert 2.0 <= time.monotonic() - begun < 6.0
    assert len(server.asked) == 2


async def test_a_wait_longer_than_the_timeout_is_not_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = time.monotonic()
    with pytest.raises(InfrastructureError, match="rate limit"):
        await ask(failing(9, rate_limit("3600s")), monkeypatch)
    assert time.monotonic() - begun < 5.0


async def test_server_errors_are_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, server = await ask(failing(2, broken(503, "UNAVAILABLE")), monkeypatch)
    assert (answer.content, len(server.asked)) == ("done", 3)


async def test_the_timeout_holds_for_the_call_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = time.monotonic()
    with pytest.raises(InfrastructureError):
        await ask(failing(99, broken(500, "INTERNAL")), monkeypatch, timeout=2.0)
    assert time.monotonic() - begun < 4.0


async def test_a_call_that_runs_out_of_time_says_what_failed_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failed: list[Asked] = []
    done = asyncio.Event()

    async def reply(asked: Asked) -> Any:
        if failed:
            await done.wait()
        failed.append(asked)
        return broken(503, "UNAVAILABLE", "The model is overloaded.")

    async with serve_scripted_model(reply) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        async with aclosing(Model((NAME,), timeout=5.0)) as model:
            with pytest.raises(InfrastructureError) as caught:
                await model.write("s", "h")
        done.set()
    assert re.search("did not answer in time; before that: .*UNAVAILABLE", str(caught.value))


async def test_an_unreachable_server_is_infrastructure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:1")
    with pytest.raises(InfrastructureError, match="cannot be reached|no answer"):
        async with aclosing(Model((NAME,), timeout=2.0)) as model:
            await model.write("s", "h")


@pytest.mark.parametrize("client", [httpx, httpx2])
def test_every_http_client_that_the_providers_choose_among_is_known(client: Any) -> None:
    assert classify(client.ConnectError("refused"), NAME).kind == "away"
    assert not classify(client.ConnectError("refused"), NAME).worked
    cut = classify(client.ReadError("cut off"), NAME)
    assert (cut.kind, cut.transient, cut.worked) == ("away", True, True)


async def test_a_retired_model_falls_back_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    def reply(asked: Asked) -> Any:
        return broken(404, "NOT_FOUND") if asked.model == "gemini-3.8-flash" else "from the other"

    names = (NAME, "google_genai:gemini-3.8-pro")
    answer, server = await ask(reply, monkeypatch, names=names)
    assert answer.content == "from the other"
    assert [each.model for each in server.asked] == ["gemini-3.8-flash", "gemini-3.8-pro"]


async def test_a_retired_model_without_fall_back_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelUnavailableError, match="gemini-3.8-flash does not exist or was"):
        await ask(lambda _: broken(404, "NOT_FOUND"), monkeypatch)


@pytest.mark.parametrize("code", [400, 401, 403])
async def test_a_refused_key_is_not_shown(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "API key not valid: secret-key-of-this-test"
    refusal = code, {"error": {"code": code, "message": words, "status": "X"}}
    with pytest.raises(ModelUnavailableError, match="the key may not use") as caught:
        await ask(lambda _: refusal, monkeypatch)
    assert str(caught.value).endswith(": X: API key not valid: …")


REFUSALS = [
    (400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
    (400, "INVALID_ARGUMENT", "Unknown name \"minimum\" at 'generation_config.response_schema'"),
    (403, "PERMISSION_DENIED", "Your API key was reported as leaked."),
    (403, "PERMISSION_DENIED", "This API method requires billing to be enabled."),
    (404, "NOT_FOUND", "models/gemini-3.8-flash is not found for API version v1beta"),
    (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, check your plan."),
    (499, "CANCELLED", "The operation was cancelled."),
    (503, "UNAVAILABLE", "The model is overloaded."),
]


@pytest.mark.parametrize(("code", "status", "message"), REFUSALS)
async def test_the_providers_reason_is_kept(
    code: int, status: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("selfheal.app.llm.client._RETRIES", 0)
    with pytest.raises(RunError) as caught:
        await ask(lambda _: broken(code, status, message), monkeypatch)
    assert str(caught.value).endswith(f": {status}: {message}")


@pytest.mark.parametrize(
    "message",
    [
        "secret-key-of-this-test",
        "at https://host.example/v1?key=secret-key-of-this-test",
        "quoted%20secret-key-of-this-test\x00",
        "x" * 1990 + "secret-key-of-this-test",
        "the judge's is other-secret-of-the-settings",
        "you sent: 'a request that is nobody else's business'",
    ],
)
@pytest.mark.parametrize("code", [400, 429])
async def test_no_reason_holds_a_secret_or_the_request(
    code: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("selfheal.app.llm.client._RETRIES", 0)
    async with serve_scripted_model(lambda _: broken(code, "S", message)) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        model = Model((NAME,), timeout=20.0, secrets=["other-secret-of-the-settings"])
        async with aclosing(model):
            with pytest.raises(RunError) as caught:
                await model.write("s", "Here is a request that is nobody else's business.")
    said = str(caught.value)
    assert ": S: " in said
    assert len(said) < 400
    for hidden in ("secret-key", "other-secret", "nobody else's", "\x00"):
        assert hidden not in said


async def test_a_page_in_place_of_an_answer_is_not_passed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("selfheal.app.llm.client._RETRIES", 0)
    page = broken(502, "Bad Gateway", "<html><body>proxy of the company</body></html>")
    with pytest.raises(InfrastructureError) as caught:
        await ask(lambda _: page, monkeypatch)
    assert str(caught.value) == f"{NAME}: the call failed (502): Bad Gateway"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"message": "no quota", "type": "insufficient_quota", "code": "x"}},
         "insufficient_quota: no quota"),
        ({"message": "no quota", "type": None, "code": "insufficient_quota"},
         "insufficient_quota: no quota"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
         "overloaded_error: Overloaded"),
        ({"error": "model not found"}, "model not found"),
        ({"error": {"message": ["no", "text"]}}, ""),
        ("sk-abc of a client's own text", ""),
        (None, ""),
    ],
)  # fmt: skip
def test_other_providers_reasons_are_read_from_their_bodies_alone(
    body: object, expected: str
) -> None:
    class StatusError(Exception):
        status_code = 400

    error = StatusError("the client's own text, with sk-abc")
    error.body = body  # type: ignore[attr-defined]
    assert reason(error) == expected


async def test_a_fall_back_hides_nothing_of_the_first_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def reply(asked: Asked) -> Any:
        leaked = broken(403, "PERMISSION_DENIED", "Your key was reported as leaked.")
        return leaked if asked.model == "gemini-3.8-flash" or both else "from the other"

    names, both = (NAME, "google_genai:gemini-3.8-pro"), True
    with pytest.raises(ModelUnavailableError) as caught:
        await ask(reply, monkeypatch, names=names)
    denied = "PERMISSION_DENIED: Your key was reported as leaked."
    assert str(caught.value) == "; ".join(f"the key may not use {name}: {denied}" for name in names)
    both = False
    async with serve_scripted_model(reply) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        async with aclosing(Model(names, timeout=20.0)) as model:
            for _ in range(3):
                await model.write("s", "h")
    [line] = [
        each.getMessage() for each in caplog.records if each.name == "selfheal.app.llm.client"
    ]
    assert denied in line


async def test_a_key_goes_to_its_own_provider_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def init(model: str, *, model_provider: str, **options: Any) -> GenericFakeChatModel:
        given[f"{model_provider}:{model}"] = options.get("api_key")
        return GenericFakeChatModel(messages=iter([]))

    monkeypatch.setattr("selfheal.app.llm.providers.init_chat_model", init)
    monkeypatch.setenv("SELFHEAL_JUDGE_API_KEY", "of the judge")
    monkeypatch.setenv("SELFHEAL_FALLBACK_MODELS", "google_genai:b,openai:c")
    settings = read_settings()
    async with open_model(settings, models_for(settings, "judge")) as model:
        await model.connect()
        assert given == {NAME: "of the judge", "google_genai:b": "of the judge", "openai:c": None}
    given.clear()
    async with open_model(settings, models_for(settings, "agent")) as model:
        await model.connect()
        assert set(given.values()) == {None}
