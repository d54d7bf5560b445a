"""Building the client of a model from its name `provider:model`."""

import asyncio
import importlib.util
import re
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import httpx
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr, ValidationError

from selfheal.app.redaction import redact

_PACKAGE = re.compile(r"\blangchain-[\w-]+")


class ModelSetupError(Exception):
    """A model's client cannot be built; the message says why and holds no secret.

    Attributes:
        model: `provider:model`.
    """

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"{model} cannot be used: {reason}")
        self.model = model


@dataclass(frozen=True, slots=True)
class ModelClient:
    """A model's client.

    Attributes:
        name: `provider:model`.
        chat: the client, which makes a single attempt at a call.
        secrets: texts that no message about its calls may hold.
    """

    name: str
    chat: BaseChatModel
    secrets: frozenset[str]


class DeferredClient:
    """A client that is built when it is created, or at its first use if it cannot fail then.

    Building Gemini's takes 0.4 s of CPU, and an optimizer pass that heals nothing never uses it.
    Its package is a dependency of ours and its key was checked before, so errors are still
    reported at the start. At its first use it is built in a thread.

    Args:
        name: `provider:model`.
        key: for its calls; None for its provider's variable in the environment.
        timeout: seconds for a call.
        secrets: texts that no error message may hold, beside the client's own key.

    Raises:
        ModelSetupError: it cannot be built.
    """

    def __init__(
        self, name: str, key: SecretStr | None, timeout: float, secrets: Collection[str]
    ) -> None:
        self._arguments = (name, key, timeout, secrets)
        self._lock = asyncio.Lock()
        self.built = None if _builds_surely(name) else _build(*self._arguments)

    async def get(self) -> ModelClient:
        """Return the client.

        Raises:
            ModelSetupError: it cannot be built.
        """
        async with self._lock:
            if self.built is None:
                self.built = await asyncio.to_thread(_build, *self._arguments)
            return self.built

    async def aclose(self) -> None:
        """Close its connections, if it has some and can close them."""
        if self.built and (close := getattr(self.built.chat, "aclose", None)):
            await close()


def _builds_surely(name: str) -> bool:
    return name.startswith("google_genai:") and bool(
        importlib.util.find_spec("langchain_google_genai")
    )


def _build(
    name: str, key: SecretStr | None, timeout: float, secrets: Collection[str]
) -> ModelClient:
    """Build a client that makes a single attempt.

    The libraries retry without regard to the wait that a server asks for, so `Model` does that.

    Raises:
        ModelSetupError: it cannot be built.
    """
    provider, _, model = name.partition(":")
    options: dict[str, Any] = {"max_retries": 1, "timeout": timeout}
    if key is not None:
        options["api_key"] = key.get_secret_value()
    if provider == "google_genai" and importlib.util.find_spec("aiohttp"):
        # If aiohttp is installed the SDK uses it, and its time-outs are other exceptions.
        options["client_args"] = {"transport": httpx.AsyncHTTPTransport()}
    try:
        chat: BaseChatModel = init_chat_model(model, model_provider=provider, **options)
    except Exception as error:  # every provider's package raises its own
        hidden = [*secrets, *([options["api_key"]] if key else [])]
        raise ModelSetupError(name, _reason(error, provider, hidden)) from error
    own = [value for value in vars(chat).values() if isinstance(value, SecretStr)]
    return ModelClient(
        name, chat, frozenset((*secrets, *(value.get_secret_value() for value in own)))
    )


def _reason(error: Exception, provider: str, secrets: Collection[str]) -> str:
    """Return why a client cannot be built: a missing package, else the redacted message."""
    if isinstance(error, ImportError) and (needed := _PACKAGE.search(str(error))):
        return f"the package {needed[0]} is not installed (pip install {needed[0]})"
    unsupported, _, known = str(error).partition("Supported model providers are:")
    if known and unsupported.startswith("Unsupported provider"):
        nearest = get_close_matches(provider, re.findall(r"\w+", known), 1)
        guess = f"; did you mean {nearest[0]}?" if nearest else ""
        return f"there is no provider {provider}{guess}"
    if isinstance(error, ValidationError):  # its text quotes the input, the key included
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        return redact(f"{place}: {first['msg']}" if place else first["msg"], secrets)
    return redact(f"{type(error).__name__}: {error}", secrets)
