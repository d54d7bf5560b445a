"""The models that the settings name: which one is used for what, and opening it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal, get_args

from pydantic import SecretStr

from selfheal.app.llm.client import Model
from selfheal.app.llm.providers import ModelSetupError
from selfheal.app.settings import ModelSettings
from selfheal.db.settings import SettingsError, secret_values

ModelUse = Literal["agent", "judge", "optimizer"]

_WITHOUT_KEY: Final[dict[str, str]] = {
    "agent": "no model can be called: set GOOGLE_API_KEY, or SELFHEAL_MODEL to another"
    " provider's model (ollama:…, openai:…, anthropic:…), or run `make serve` in another"
    " terminal, which starts a simulated Gemini",
    "judge": "the judge cannot be called: set SELFHEAL_JUDGE_API_KEY or GOOGLE_API_KEY, or"
    " SELFHEAL_JUDGE_MODEL to another provider's model (ollama:…, openai:…, anthropic:…),"
    " or run `make serve` in another terminal, which starts a simulated Gemini",
}


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model that the settings name.

    Attributes:
        use: what it is used for.
        setting: the variable that names it.
        name: `provider:model`.
        key: the key for its calls; None for its provider's variable in the environment.
        fallback: it is called only when the first choice fails.
    """

    use: ModelUse
    setting: str
    name: str
    key: SecretStr | None = None
    fallback: bool = False


def models_for(settings: ModelSettings, use: ModelUse) -> tuple[ModelChoice, ...]:
    """Return the models for a use: the first choice, then its fallbacks in order."""
    named = {
        "agent": ("SELFHEAL_MODEL", settings.model, None),
        "judge": ("SELFHEAL_JUDGE_MODEL", settings.judge_model, settings.judge_api_key),
        "optimizer": ("SELFHEAL_OPTIMIZER_MODEL", settings.optimizer_model, None),
    }
    setting, name, key = named[use]
    first = ModelChoice(use, setting if name else "SELFHEAL_MODEL", name or settings.model, key)
    return first, *(
        ModelChoice(use, "SELFHEAL_FALLBACK_MODELS", name, _same_provider_key(first, name), True)
        for name in settings.fallback_models
    )


def every_model(settings: ModelSettings) -> list[ModelChoice]:
    """Return all models that the settings name, each once for each key that it is called with."""
    found: dict[tuple[str, SecretStr | None], ModelChoice] = {}
    for use in get_args(ModelUse):
        for choice in models_for(settings, use):
            found.setdefault((choice.name, _key(settings, choice)), choice)
    return list(found.values())


def require_model(settings: ModelSettings) -> None:
    """Check that there are keys for the agent and the judge, before anything is opened.

    Raises:
        SettingsError: Gemini is to be called and there is no key for it.
    """
    _require_key(settings, models_for(settings, "agent")[0])
    require_judge(settings)


def require_judge(settings: ModelSettings) -> None:
    """Check that there is a key for the judge.

    Raises:
        SettingsError: there is none.
    """
    _require_key(settings, models_for(settings, "judge")[0])


@asynccontextmanager
async def open_model(
    settings: ModelSettings, choices: Sequence[ModelChoice], seconds: float | None = None
) -> AsyncIterator[Model]:
    """Open a model with its fallbacks.

    Args:
        settings: where the choices are from; no error message holds a secret of theirs.
        choices: the first choice, then its fallbacks.
        seconds: for a call as a whole; None for that of the settings.

    Raises:
        SettingsError: one of them cannot be used; the message names its setting.
    """
    for choice in choices:
        _require_key(settings, choice)
    try:
        model = Model(
            [choice.name for choice in choices],
            keys={choice.name: choice.key for choice in choices},
            timeout=seconds or settings.model_timeout_seconds,
            secrets=frozenset(secret_values(type(settings))),
        )
    except ModelSetupError as error:
        setting = next(choice.setting for choice in choices if choice.name == error.model)
        raise SettingsError(f"{setting}: {error}") from error
    try:
        yield model
    finally:
        await model.aclose()


def _same_provider_key(first: ModelChoice, name: str) -> SecretStr | None:
    """Return the first choice's key if a fallback is of the same provider."""
    return first.key if name.partition(":")[0] == first.name.partition(":")[0] else None


def _key(settings: ModelSettings, choice: ModelChoice) -> SecretStr | None:
    """Return the key that a model is called with, as far as the settings know it."""
    gemini = choice.name.startswith("google_genai:")
    return choice.key or (settings.google_api_key if gemini else None)


def _require_key(settings: ModelSettings, choice: ModelChoice) -> None:
    if not choice.name.startswith("google_genai:") or _key(settings, choice):
        return
    general = f"{choice.setting}: {choice.name} cannot be called: set GOOGLE_API_KEY"
    raise SettingsError(general if choice.fallback else _WITHOUT_KEY.get(choice.use, general))
