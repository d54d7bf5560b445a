"""HTTP answers for exceptions."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from selfheal.app.errors import ErrorOutcome, EvaluationError, RunError
from selfheal.db.errors import (
    DatabaseError,
    DatabaseUnavailableError,
    NotFoundError,
    ReleaseConflictError,
)
from selfheal.optimizer.rollout.approval import NothingToDecideError
from selfheal.server.api.middleware import BODY_RULES
from selfheal.server.api.schemas.base import Problem
from selfheal.server.assistants import UnknownAssistantError
from selfheal.server.auth.admission import (
    CrossSiteError,
    NotAllowedError,
    NotAuthenticatedError,
    WrongHostError,
)
from selfheal.server.auth.limits import QuotaExceededError, TooManyRequestsError
from selfheal.server.execution.submit import IdempotencyError, QueueFullError, ThreadBusyError
from selfheal.server.observability.logs import request_id
from selfheal.server.webhooks.url_policy import WebhookError

logger = logging.getLogger(__name__)

_RETRY_SECONDS = "5"


class ResourceStateError(Exception):
    """The state of a resource does not allow the request."""


class UnsupportedError(Exception):
    """LangGraph's API has this endpoint; this server does not."""


def install(app: FastAPI) -> None:
    """Add the exception handlers."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(UnknownAssistantError, _unknown_assistant)
    app.add_exception_handler(NotAuthenticatedError, _not_authenticated)
    for refusal in (NotAllowedError, CrossSiteError):
        app.add_exception_handler(refusal, _not_allowed)
    app.add_exception_handler(WrongHostError, _misdirected)
    app.add_exception_handler(NotFoundError, _not_found)
    for conflict in (
        NothingToDecideError,
        ReleaseConflictError,
        ResourceStateError,
        ThreadBusyError,
    ):
        app.add_exception_handler(conflict, _conflict)
    app.add_exception_handler(IdempotencyError, _other_request)
    app.add_exception_handler(WebhookError, _webhook_refused)
    app.add_exception_handler(QueueFullError, _queue_full)
    app.add_exception_handler(QuotaExceededError, _quota_exceeded)
    app.add_exception_handler(TooManyRequestsError, _too_many)
    app.add_exception_handler(UnsupportedError, _unsupported)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(EvaluationError, _evaluation_failed)
    app.add_exception_handler(RunError, _run_failed)
    app.add_exception_handler(DatabaseUnavailableError, _unavailable)
    app.add_exception_handler(DatabaseError, _internal_error)


def documented(*codes: int, stream: bool = False) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that may answer with these codes.

    A route that needs a key (401) may also answer 421 and 429; one with a body (413) also 408.

    Args:
        *codes: the status codes that the route may answer with.
        stream: its answer with 200 is a stream of events.
    """
    descriptions = {
        401: "No API key, or an invalid one",
        403: "The key's scopes do not allow this, or the request is from a page of another site",
        404: "Resource not found",
        408: "The body did not arrive in time",
        409: "The resource's state does not allow this, or another request changed it first",
        413: "The body is too long",
        421: "There are no API keys yet, and the Host header is not a loopback address",
        422: "A field is not valid",
        429: "Too many queued runs or too many requests; retry after the given seconds",
        501: "This endpoint of LangGraph's API is not supported",
        507: "The tenant's storage quota is used up",
        502: "The model failed",
        503: "The database, the sandbox or the judge is unavailable; retry after the given seconds",
    }
    common = (421, 429, 503) if 401 in codes else (503,)
    if 413 in codes:
        common = (408, *common)
    answers: dict[int | str, dict[str, Any]] = {
        code: {"model": Problem, "description": descriptions[code]} for code in (*codes, *common)
    }
    if stream:
        answers[200] = {"description": "Events", "content": {"text/event-stream": {}}}
    return answers


class LastResort:
    """Converts unexpected exceptions to a 500 without leaking details."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request; answer 500 if that fails before an answer has started."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if started:
                raise
            answer = await _internal_error(Request(scope), error)
            await answer(scope, receive, send)


def _answer(
    code: int,
    detail: str,
    field: str | None = None,
    headers: Mapping[str, str] | None = None,
    outcome: ErrorOutcome | None = None,
    unusable: bool | None = None,
) -> JSONResponse:
    if headers is None and code in (429, 503):
        headers = {"Retry-After": _RETRY_SECONDS}
    problem = Problem(
        detail=detail,
        field=field,
        outcome=outcome,
        unusable=unusable,
        request_id=request_id.get(),
    )
    omitted = None if outcome else {"outcome", "unusable"}
    return JSONResponse(problem.model_dump(exclude=omitted), code, headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it alone
    first = error.errors()[0]
    field = _path(first["loc"])
    if first["type"] == "json_invalid":
        return _answer(422, "body: is not valid JSON", "body")
    if field == "body" and "json" not in request.headers.get("content-type", ""):
        return _answer(422, "body: must be JSON, sent as content-type: application/json", field)
    return _answer(422, f"{field}: {first['msg'].removeprefix('Value error, ')}", field)


def _path(location: Sequence[object]) -> str:
    """Return a field's path in a body, such as `input.examples.0.call`."""
    parts = [str(part) for part in location]
    return ".".join(parts[1:] or parts)


async def _unknown_assistant(_: Request, error: Exception) -> JSONResponse:
    return _answer(404, f"assistant_id: {error}", "assistant_id")


async def _not_authenticated(_: Request, error: Exception) -> JSONResponse:
    return _answer(401, str(error), headers={"WWW-Authenticate": "Bearer"})


async def _not_allowed(_: Request, error: Exception) -> JSONResponse:
    return _answer(403, str(error))


async def _other_request(_: Request, error: Exception) -> JSONResponse:
    return _answer(422, f"Idempotency-Key: {error}", "Idempotency-Key")


async def _webhook_refused(_: Request, error: Exception) -> JSONResponse:
    return _answer(422, f"webhook: {error}", "webhook")


async def _queue_full(_: Request, error: Exception) -> JSONResponse:
    return _answer(429, "too many runs are queued; try again later")


async def _quota_exceeded(_: Request, error: Exception) -> JSONResponse:
    return _answer(507, str(error))


async def _too_many(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TooManyRequestsError)  # noqa: S101 - registered for it alone
    return _answer(429, str(error), headers={"Retry-After": str(error.retry_after)})


async def _misdirected(_: Request, error: Exception) -> JSONResponse:
    return _answer(421, f"Host: {error}", "Host")


async def _unsupported(_: Request, error: Exception) -> JSONResponse:
    return _answer(501, str(error))


async def _not_found(_: Request, error: Exception) -> JSONResponse:
    return _answer(404, str(error))


async def _conflict(_: Request, error: Exception) -> JSONResponse:
    return _answer(409, str(error))


async def _unavailable(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DatabaseUnavailableError)  # noqa: S101 - registered for it alone
    logger.warning("%s", error)
    return _answer(503, f"{error.summary}; try again in a few seconds")


async def _http_error(_: Request, error: Exception) -> JSONResponse:
    """Answer what FastAPI and the middleware refuse: an unknown route or method, a long body."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    if error.status_code == 400:  # FastAPI's code for a body that it cannot read
        return _answer(422, f"body: must be {BODY_RULES}", "body")
    field = "body" if error.status_code in (408, 413) else None
    return _answer(error.status_code, error.detail, field, error.headers)


async def _evaluation_failed(_: Request, error: Exception) -> JSONResponse:
    return _role_failed(error, 503)


async def _run_failed(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RunError)  # noqa: S101 - registered for it and its kinds alone
    return _role_failed(error, 422 if error.outcome == "request" else 502)


def _role_failed(error: Exception, code: int) -> JSONResponse:
    """Answer a role's caller, with the outcome of its run and the prompt version."""
    assert isinstance(error, RunError)  # noqa: S101 - registered for it and its kinds alone
    logger.warning("%s", error, extra={"outcome": error.outcome})
    answer = _answer(code, str(error), outcome=error.outcome, unusable=error.unusable)
    for version in error.prompt_versions.values():
        answer.headers["x-prompt-version"] = str(version)
    return answer


async def _internal_error(request: Request, error: Exception) -> JSONResponse:
    logger.error("%s %r failed", request.method, request.url.path, exc_info=error)
    return _answer(status.HTTP_500_INTERNAL_SERVER_ERROR, "internal error; see the log")
