"""Classification of failed model calls: whose fault, and whether a retry can help."""

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
from selfheal.app.redaction import redact

_HTTP_CLIENTS = ("httpx", "httpx2", "aiohttp")
_TRANSIENT = {408, 409, 425, 499}  # request timeout, conflict, too early, cancelled by the server
_SECONDS = re.compile(r"^(\d+(?:\.\d+)?)s?$")


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call.

    Attributes:
        error: the error for the caller.
        kind: the outcome under which it is counted.
        transient: a retry may succeed.
        wait: seconds that the server asked to wait before it; 0 if it did not say.
        worked: the server may have worked on the call, and so may charge for it.
        answered: there was an answer, unreadable, which is requested only once more.
    """

    error: RunError
    kind: CallOutcome
    transient: bool = False
    wait: float = 0.0
    worked: bool = False
    answered: bool = False


def classify(
    error: Exception, model: str, secrets: Collection[str] = (), sent: str = ""
) -> Failure:
    """Classify an exception of a client.

    Of the provider's text a message repeats only the reason in a refusal's body, redacted: the
    rest may hold addresses, headers or keys.

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
        return Failure(limit, "limited", True, _requested_wait(error))
    return _of_the_server(error, model, because)


def reason(error: Exception, secrets: Collection[str] = (), sent: str = "") -> str:
    """Return the provider's reason for a refusal as "STATUS: message", redacted; "" if none.

    It is read from the JSON body that the clients' exceptions keep (`details` of Google's, `body`
    of OpenAI's and Anthropic's), never from the exception's text. Arguments as `classify`.
    """
    for each in _chain(error):
        body = getattr(each, "details", None) or getattr(each, "body", None)
        if isinstance(body, list) and len(body) == 1:
            body = body[0]
        if isinstance(body, dict) and (text := _reason_in(body)):
            return redact(text, secrets, sent)
    return ""


def _reason_in(body: Mapping[str, Any]) -> str:
    """Return the reason in an error's body, without a message that is a proxy's HTML page."""
    inner = body.get("error", body)
    if not isinstance(inner, dict):
        inner = {"message": inner}
    codes = [inner.get(name) for name in ("status", "type", "code")]
    code = next((value for value in codes if isinstance(value, str)), "")
    message = inner.get("message")
    if not isinstance(message, str) or message.lstrip().startswith("<"):
        message = ""
    return ": ".join(filter(None, (code, message)))


def _of_the_server(error: Exception, model: str, because: str) -> Failure:
    """Classify failures of the server or the network: all but client errors are transient."""
    if _status(error) is None and any(map(_is_garbled, _chain(error))):
        garbled = InfrastructureError(f"{model}: the server's answer cannot be read")
        return Failure(garbled, "error", True, worked=True, answered=True)
    if isinstance(error, TimeoutError):
        late = InfrastructureError(f"{model} did not answer in time")
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
        transient=status is None or status >= 500 or status in _TRANSIENT,
        wait=_requested_wait(error),
    )


def _is_garbled(error: BaseException) -> bool:
    """Return whether a body was not JSON, or nested too deeply for the parser."""
    return isinstance(error, json.JSONDecodeError | RecursionError)


def _refused(error: Exception, model: str, because: str) -> Failure:
    """Distinguish an invalid key, which Gemini reports as a bad request, from a bad request."""
    if "API_KEY" in str(error) or "API key" in str(error):
        return Failure(ModelUnavailableError(f"the key may not use {model}{because}"), "denied")
    return Failure(ModelUnavailableError(f"{model} refused the call{because}"), "refused")


def _unreachable(error: Exception) -> bool:
    if isinstance(error, OSError) or _named(error, "TransportError", "ClientError"):
        return True
    return isinstance(error, ModelError) and error.is_retryable and _status(error) is None


def _named(error: Exception, *names: str) -> bool:
    """Return whether an HTTP client's error is of a class of one of these names.

    By name, since a provider's package uses httpx, its fork httpx2 or aiohttp, depending on what
    is installed, and their classes are unrelated.
    """
    return any(
        each.__name__ in names and each.__module__.partition(".")[0] in _HTTP_CLIENTS
        for each in type(error).__mro__
    )


def _status(error: BaseException) -> int | None:
    """Return the HTTP status that an error was caused by; None if there was none."""
    for each in _chain(error):
        for name in ("code", "status_code"):
            value = getattr(each, name, None)
            if isinstance(value, int) and 400 <= value < 600:
                return value
    return None


def _requested_wait(error: BaseException) -> float:
    """Return seconds to wait as the server requests (RetryInfo, Retry-After); 0 if it does not."""
    for each in _chain(error):
        headers = getattr(getattr(each, "response", None), "headers", None) or {}
        for value in (*_retry_infos(getattr(each, "details", None)), headers.get("retry-after")):
            if match := _SECONDS.match(str(value or "")):
                return float(match[1])
    return 0.0


def _retry_infos(details: object) -> Iterator[object]:
    """Yield every `retryDelay` in an error's body, at any depth."""
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
