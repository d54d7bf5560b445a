"""Models are opened: which settings and keys they need, and what is said of those that fail."""

import asyncio
from contextlib import aclosing
from typing import Any, get_args

import pytest
from pydantic import BaseModel, SecretStr

from bench.harness.scripted_model import serve_scripted_model
from selfheal.app.errors import (
    ModelUnavailableError,
)
from selfheal.app.llm import providers
from selfheal.app.llm.client import Model
from selfheal.app.llm.models import ModelUse, every_model, models_for, open_model
from selfheal.app.llm.providers import ModelSetupError
from selfheal.db.settings import SettingsError
from selfheal.server.settings import ServerSettings, read_settings
from tests.support.model_calls import NAME, Mark, ask


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "secret-key-of-this-test")


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
