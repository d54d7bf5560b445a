"""The one model call, through the real client, against faults on the real wire."""

import asyncio
import json
import re
import time
from contextlib import aclosing
from typing import Any, get_args

import httpx
import httpx2
import pytest
from google.genai.types import BlockedReason, FinishReason
from langchain_core.language_models import GenericFakeChatModel
from pydantic import BaseModel, Field, SecretStr

from bench.harness.scripted_model import Asked, said, serve_scripted_model
from selfheal.app.errors import (
    InfrastructureError,
    ModelUnavailableError,
    OutputError,
    RequestError,
    RunError,
)
from selfheal.app.llm import answers, providers
from selfheal.app.llm.client import CALLS_AN_ANSWER, Model
from selfheal.app.llm.errors import classify, reason
from selfheal.app.llm.models import ModelUse, every_model, models_for, open_model
from selfheal.app.llm.providers import ModelSetupError
from selfheal.app.llm.usage import metered
from selfheal.db.settings import SettingsError
from selfheal.server.settings import ServerSettings, read_settings

NAME = "google_genai:gemini-3.8-flash"


class Mark(BaseModel):
    """A shape with a range."""

    mark: float = Field(ge=0, le=1)


def failing(times: int, failure: tuple[int, dict[str, Any]], then: Any = "done") -> Any:
    """Return a reply that fails so many times first."""
    left = [times]

    def reply(_: Asked) -> Any:
        left[0] -= 1
        return failure if left[0] >= 0 else then

    return reply


def rate_limit(delay: str) -> tuple[int, dict[str, Any]]:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    return 429, {
        "error": {
            "code": 429,
            "message": "Resource exhausted",
            "status": "RESOURCE_EXHAUSTED",
            "details": [info],
        }
    }


def broken(code: int, status: str, message: str = "no") -> tuple[int, dict[str, Any]]:
    return code, {"error": {"code": code, "message": message, "status": status}}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "secret-key-of-this-test")


async def ask(reply: Any, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Any:
    """Call a model whose server is scripted; return the answer and the server."""
    names = options.pop("names", (NAME,))
    shape = options.pop("shape", None)
    async with serve_scripted_model(reply) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        async with aclosing(Model(names, **{"timeout": 20.0, **options})) as model:
            answer = await (model.fill("s", "h", shape) if shape else model.write("s", "h"))
        return answer, server


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


async def test_a_shape_is_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, server = await ask(lambda _: {"mark": 0.25}, monkeypatch, shape=Mark)
    assert answer.content == Mark(mark=0.25)
    assert server.asked[0].fields == {"mark"}


async def test_clients_are_built_once_when_the_first_calls_come_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built: list[str] = []
    build = providers._build

    def counted(name: str, *rest: Any) -> Any:
        built.append(name)
        return build(name, *rest)

    monkeypatch.setattr(providers, "_build", counted)
    async with serve_scripted_model(lambda _: "hello") as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        async with aclosing(Model((NAME,), timeout=20.0)) as model:
            assert not built
            await asyncio.gather(*(model.write("s", "h") for _ in range(4)))
    assert built == [NAME]


async def test_a_client_that_cannot_be_built_after_all_is_a_model_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ImportError("a library of it is missing")

    monkeypatch.setattr(providers, "init_chat_model", broken)
    async with aclosing(Model((NAME,))) as model:
        with pytest.raises(ModelUnavailableError, match="cannot be used: ImportError"):
            await model.write("s", "h")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"SELFHEAL_MODEL": "opnai:x"}, "opnai"),
        ({"SELFHEAL_MODEL": "anthropic:claude"}, "langchain-anthropic"),
        ({"GOOGLE_API_KEY": ""}, "GOOGLE_API_KEY"),
        (
            {
                "GOOGLE_API_KEY": "",
                "SELFHEAL_MODEL": "fake:it",
                "SELFHEAL_FALLBACK_MODELS": NAME,
            },
            "GOOGLE_API_KEY",
        ),
    ],
)
async def test_a_model_that_cannot_be_used_is_found_when_it_is_opened(
    settings: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not when it is first called, though Gemini's client is built only then."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    known = read_settings()
    with pytest.raises(SettingsError, match=words):
        async with open_model(known, models_for(known, "agent")):
            pass


MODEL_SETTINGS = [
    f"SELFHEAL_{name.upper()}"
    for name in ServerSettings.model_fields
    if name.endswith(("model", "models"))
]


@pytest.mark.parametrize("name", ["openai:gpt-5", "opnai:x", "ollama:x", "gpt-foo:x"])
@pytest.mark.parametrize("setting", MODEL_SETTINGS)
async def test_the_setting_at_fault_is_named_and_no_other(
    setting: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(setting, name)
    settings = read_settings()
    blamed = []
    for each in every_model(settings):
        try:
            async with open_model(settings, (each,)):
                pass
        except SettingsError as error:
            blamed.append(str(error))
    [said] = blamed
    assert said.startswith(f"{setting}: {name} cannot be used: ")
    assert said.count("SELFHEAL_") == 1
    assert len(said.splitlines()) == 1
    for use in get_args(ModelUse):
        if setting in (each.setting for each in models_for(settings, use)):
            with pytest.raises(SettingsError, match=f"^{setting}: "):
                async with open_model(settings, models_for(settings, use)):
                    pass


@pytest.mark.parametrize(
    "error",
    [ValueError("bad sk-key-in-a-message"), RuntimeError("x" * 9999), KeyError("AIzaSecretKey")],
)
def test_what_a_providers_package_raises_is_no_traceback(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("selfheal.app.llm.providers.init_chat_model", init)
    with pytest.raises(ModelSetupError, match="^openai:x cannot be used: ") as caught:
        Model(("openai:x",))
    assert len(str(caught.value)) < 400
    assert "key-in-a-message" not in str(caught.value)
    assert "SecretKey" not in str(caught.value)


def test_a_client_that_refuses_its_options_quotes_none_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Strict(BaseModel):
        api_key: int

    def init(*_: Any, **options: Any) -> None:
        Strict(api_key=options["api_key"])

    monkeypatch.setattr("selfheal.app.llm.providers.init_chat_model", init)
    with pytest.raises(ModelSetupError, match="api_key: Input should be a valid integer") as caught:
        Model(("openai:x",), keys={"openai:x": SecretStr("plain words")})
    assert "plain words" not in str(caught.value)


async def test_without_a_key_it_is_said_which_model_needs_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GOOGLE_API_KEY")
    monkeypatch.setenv("SELFHEAL_FALLBACK_MODELS", NAME)
    settings = read_settings()
    choice = models_for(settings, "agent")[1]
    with pytest.raises(SettingsError, match="^SELFHEAL_FALLBACK_MODELS: .* set GOOGLE_API_KEY$"):
        async with open_model(settings, (choice,)):
            pass
