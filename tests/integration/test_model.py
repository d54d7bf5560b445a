"""The one model call, through the real client, against faults on the real wire."""

import asyncio
import time
from contextlib import aclosing
from typing import Any

import pytest
from pydantic import BaseModel, Field

from graph import model as model_module
from graph.context import open_model
from graph.errors import InfrastructureError, ModelUnavailableError, OutputError
from graph.model import Model
from graph.settings import SettingsError, read_settings
from tests.support.stand_in import Asked, said, standing_in

NAME = "google_genai:gemini-3.8-flash"


class Mark(BaseModel):
    """A shape with a range."""

    mark: float = Field(ge=0, le=1)


def failing(times: int, failure: tuple[int, dict[str, Any]], then: str = "done") -> Any:
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


def broken(code: int, status: str) -> tuple[int, dict[str, Any]]:
    return code, {"error": {"code": code, "message": "no", "status": status}}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "secret-key-of-this-test")


async def ask(reply: Any, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Any:
    """Call a model whose server is scripted; return the answer and the server."""
    names = options.pop("names", (NAME,))
    shape = options.pop("shape", None)
    async with standing_in(reply) as server:
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


async def test_an_unreachable_server_is_infrastructure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:1")
    with pytest.raises(InfrastructureError, match="cannot be reached|no answer"):
        async with aclosing(Model((NAME,), timeout=2.0)) as model:
            await model.write("s", "h")


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
    assert "secret-key" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (said('{"mark": 0.5}', "MAX_TOKENS"), "did not finish"),
        (said('{"mark": 0.', "MAX_TOKENS"), "did not finish"),
        (said("", "SAFETY"), "did not finish"),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "refused the prompt"),
        ({}, "nothing"),
        (said('{"mark": 0.5'), "does not fit"),
        (said('{"mark": 7}'), "does not fit"),
        (said('{"other": 1}'), "does not fit"),
        (said("no JSON at all"), "does not fit"),
    ],
)
async def test_an_unusable_answer_is_an_output_error(
    body: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OutputError, match=words):
        await ask(lambda _: (200, body), monkeypatch, shape=Mark)


async def test_an_empty_text_is_an_output_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutputError):
        await ask(lambda _: (200, said("  ")), monkeypatch)


async def test_a_shape_is_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, server = await ask(lambda _: {"mark": 0.25}, monkeypatch, shape=Mark)
    assert answer.content == Mark(mark=0.25)
    assert server.asked[0].fields == {"mark"}


async def test_clients_are_built_once_when_the_first_calls_come_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built: list[str] = []
    build = model_module._client

    def counted(name: str, *rest: Any) -> Any:
        built.append(name)
        return build(name, *rest)

    monkeypatch.setattr(model_module, "_client", counted)
    async with standing_in(lambda _: "hello") as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        async with aclosing(Model((NAME,), timeout=20.0)) as model:
            assert not built
            await asyncio.gather(*(model.write("s", "h") for _ in range(4)))
    assert built == [NAME]


async def test_a_client_that_cannot_be_built_after_all_is_a_model_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any) -> Any:
        raise ImportError("a library of it is missing")

    monkeypatch.setattr(model_module, "_client", broken)
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
        async with open_model(known, known.model):
            pass
