"""What a failed model call means: whose fault, and whether waiting mends it."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAuthenticationError,
    ModelError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
)

from selfheal.app.errors import InfrastructureError, ModelUnavailableError, RequestError, RunError
from selfheal.app.llm.usage import CallOutcome
from selfheal.app.redaction import shown

_HTTP_CLIENTS = ("httpx", "httpx2", "aiohttp")
_PASSING = {408, 409, 425, 499}  # request time-out, conflict, too early, cancelled by the server
_SECONDS = re.compile(r"^(\d+(?:\.\d+)?)s?$")


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call: our error, whether it may pass by itself, the wait asked for in seconds.

    `worked` tells that the server may have worked on it, and so will charge for it; `answered`
    that it gave an answer, which is asked for once more and not again; `kind` is what it is
    counted as.
    """

    error: RunError
    kind: CallOutcome
    passing: bool = False
    wait: float = 0.0
    worked: bool = False
    answered: bool = False


def classify(
    error: Exception, model: str, secrets: Collection[str] = (), sent: str = ""
) -> Failure:
    """Return what an exception of the client means.

    A message repeats of another's text only the reason in the body of a refusal, status word and
    message, as `redaction.shown` leaves it: the rest may carry addresses, headers or keys.

    Args:
        error: what the client raised.
        model: the name of the model that was called.
        secrets: texts that no message may hold, the key among them.
        sent: what the model was sent, which no message repeats.
    """
    because = reason(error, secrets, sent)
    because = f": {because}" if because else ""
    if isinstance(error, ContextOverflowError):
        return Failure(RequestError(f"the request is too long for {model}{because}"), "refused")
    if isinstance(error, ModelNotFoundError) or _status(error) == 404:
        gone = ModelUnavailableError(f"{model} does not exist or was retired{because}")
        return Failure(gone, "retired")
    if isinstance(error, ModelAuthenticationError | ModelPermissionDeniedError):
        return Failure(ModelUnavailableError(f"the key may not use {model}{because}"), "denied")
    if isinstance(error, ModelInvalidRequestError):
        return _refused(error, model, because)
    if isinstance(error, ModelRateLimitError) or _status(error) == 429:
        limit = InfrastructureError(f"{model}: rate limit{because}")
        return Failure(limit, "limited", True, _asked_wait(error))
    return _of_the_server(error, model, because)


def reason(error: Exception, secrets: Collection[str] = (), sent: str = "") -> str:
    """Return the provider's own reason for a refusal, or "": "STATUS: message", redacted.

    It is read from the JSON body that the clients' exceptions keep (`details` of Google's, `body`
    of OpenAI's and Anthropic's), never from the exception's own text.
    """
    for each in _chain(error):
        body = getattr(each, "details", None) or getattr(each, "body", None)
        if isinstance(body, list) and len(body) == 1:
            body = body[0]
        if isinstance(body, dict) and (said := _reason_in(body)):
            return shown(said, secrets, sent)
    return ""


def _reason_in(body: Mapping[str, Any]) -> str:
    """Return the reason in an error's body, without a message that is a page (a proxy's)."""
    inner = body.get("error", body)
    if not isinstance(inner, dict):
        inner = {"message": inner}
    words = [inner.get(name) for name in ("status", "type", "code")]
    word = next((each for each in words if isinstance(each, str)), "")
    message = inner.get("message")
    if not isinstance(message, str) or message.lstrip().startswith("<"):
        message = ""
    return ": ".join(each for each in (word, message) if each)


def _of_the_server(error: Exception, model: str, because: str) -> Failure:
    """Return the failures that are nobody's choice: all may pass but a client error."""
    if _status(error) is None and any(map(_is_garbled, _chain(error))):
        garbled = InfrastructureError(f"{model}: the server's answer cannot be read")
        return Failure(garbled, "error", True, worked=True, answered=True)
    if isinstance(error, TimeoutError):
        late = InfrastructureError(f"{model} gave no answer in time")
        return Failure(late, "timeout", True, worked=True)
    if _unreachable(error):
        cut = not (isinstance(error, ConnectionRefusedError) or _named(error, "ConnectError"))
        away = InfrastructureError(f"{model} cannot be reached")
        return Failure(away, "away", True, worked=cut)
    status = _status(error)
    kind = status or type(error).__name__
    return Failure(
        InfrastructureError(f"{model}: the call failed ({kind}){because}"),
        "error",
        passing=status is None or status >= 500 or status in _PASSING,
        wait=_asked_wait(error),
    )


def _is_garbled(error: BaseException) -> bool:
    """Tell a body that is no JSON, or is nested too deeply for a parser."""
    return isinstance(error, json.JSONDecodeError | RecursionError)


def _refused(error: Exception, model: str, because: str) -> Failure:
    """Tell a bad key, which Gemini reports as a bad request, from a bad request."""
    if "API_KEY" in str(error) or "API key" in str(error):
        return Failure(ModelUnavailableError(f"the key may not use {model}{because}"), "denied")
    return Failure(ModelUnavailableError(f"{model} refused the call{because}"), "refused")


def _unreachable(error: Exception) -> bool:
    if isinstance(error, OSError) or _named(error, "TransportError", "ClientError"):
        return True
    return isinstance(error, ModelError) and error.is_retryable and _status(error) is None


def _named(error: Exception, *names: str) -> bool:
    """Tell whether an HTTP client's error is of a class of one of these names.

    By name, since the provider's package chooses among httpx, its fork httpx2 and aiohttp, whose
    classes are not each other's, by what is installed.
    """
    return any(
        each.__name__ in names and each.__module__.partition(".")[0] in _HTTP_CLIENTS
        for each in type(error).__mro__
    )


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
