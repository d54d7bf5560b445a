"""What a failed model call means: whose fault, and whether waiting mends it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAuthenticationError,
    ModelError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
)

from graph.errors import InfrastructureError, ModelUnavailableError, RequestError, RunError
from graph.metrics import CallOutcome

_SECONDS = re.compile(r"^(\d+(?:\.\d+)?)s?$")


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call: our error, whether it may pass by itself, the wait asked for in seconds.

    `worked` tells that the server may have worked on it, and so will charge for it; `kind` is
    what it is counted as.
    """

    error: RunError
    kind: CallOutcome
    passing: bool = False
    wait: float = 0.0
    worked: bool = False


def classify(error: Exception, model: str) -> Failure:
    """Return what an exception of the client means.

    No message repeats the client's own text: it may carry addresses, headers or keys.
    """
    if isinstance(error, ContextOverflowError):
        return Failure(RequestError(f"the request is too long for {model}"), "refused")
    if isinstance(error, ModelNotFoundError) or _status(error) == 404:
        return Failure(ModelUnavailableError(f"{model} does not exist or was retired"), "retired")
    if isinstance(error, ModelAuthenticationError | ModelPermissionDeniedError):
        return Failure(ModelUnavailableError(f"the key may not use {model}"), "denied")
    if isinstance(error, ModelInvalidRequestError):
        return _refused(error, model)
    if isinstance(error, ModelRateLimitError) or _status(error) == 429:
        limit = InfrastructureError(f"{model}: rate limit")
        return Failure(limit, "limited", True, _asked_wait(error))
    return _of_the_server(error, model)


def _of_the_server(error: Exception, model: str) -> Failure:
    """Return the failures that are nobody's choice: all may pass but a client error."""
    if isinstance(error, json.JSONDecodeError):
        garbled = InfrastructureError(f"{model}: the server answered with no JSON")
        return Failure(garbled, "error", True, worked=True)
    if isinstance(error, TimeoutError):
        late = InfrastructureError(f"{model} gave no answer in time")
        return Failure(late, "timeout", True, worked=True)
    if _unreachable(error):
        cut = not isinstance(error, httpx.ConnectError | ConnectionRefusedError)
        away = InfrastructureError(f"{model} cannot be reached")
        return Failure(away, "away", True, worked=cut)
    status = _status(error)
    return Failure(
        InfrastructureError(f"{model}: the call failed ({status or type(error).__name__})"),
        "error",
        passing=status is None or status >= 500,
        wait=_asked_wait(error),
    )


def _refused(error: Exception, model: str) -> Failure:
    """Tell a bad key, which Gemini reports as a bad request, from a bad request."""
    if "API_KEY" in str(error) or "API key" in str(error):
        return Failure(ModelUnavailableError(f"the key may not use {model}"), "denied")
    return Failure(ModelUnavailableError(f"{model} refused the call as invalid"), "refused")


def _unreachable(error: Exception) -> bool:
    if isinstance(error, httpx.TransportError | OSError):
        return True
    if type(error).__module__.partition(".")[0] == "aiohttp":
        return True
    return isinstance(error, ModelError) and error.is_retryable and _status(error) is None


def _status(error: BaseException) -> int | None:
    """Return the HTTP status behind an error, if it had one."""
    for each in _chain(error):
        for name in ("code", "status_code"):
            value = getattr(each, name, None)
            if isinstance(value, int) and 400 <= value < 600:
                return value
    return None


def _asked_wait(error: BaseException) -> float:
    """Return the seconds that the server asked us to wait (RetryInfo, Retry-After), or 0."""
    for each in _chain(error):
        headers = getattr(getattr(each, "response", None), "headers", None) or {}
        for value in (*_retry_infos(getattr(each, "details", None)), headers.get("retry-after")):
            if match := _SECONDS.match(str(value or "")):
                return float(match[1])
    return 0.0


def _retry_infos(details: object) -> Iterator[object]:
    """Yield every `retryDelay` in an error's body, wherever it stands."""
    if isinstance(details, dict):
        if "retryDelay" in details:
            yield details["retryDelay"]
        for value in details.values():
            yield from _retry_infos(value)
    elif isinstance(details, list):
        for value in details:
            yield from _retry_infos(value)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
