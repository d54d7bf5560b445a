"""Where errors become HTTP, and nowhere else."""

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
from selfheal.server.api import request_ids
from selfheal.server.api.assistants import UnknownAssistantError
from selfheal.server.api.limits import BODY_RULES
from selfheal.server.api.schemas.base import Problem
from selfheal.server.auth.api_keys import NotAllowedError, NotAuthenticatedError
from selfheal.server.auth.loopback import CrossSiteError, WrongHostError
from selfheal.server.auth.rate_limit import TooManyRequestsError
from selfheal.server.auth.storage_quota import QuotaExceededError
from selfheal.server.execution.submit import IdempotencyError, QueueFullError, ThreadBusyError
from selfheal.server.webhooks.url_policy import WebhookError

logger = logging.getLogger(__name__)

_RETRY_SECONDS = "5"


class StillLiveError(Exception):
    """Something is in the way of what was asked for, and will not always be."""


class NotBuiltError(Exception):
    """LangGraph's wire has this; this server has not."""


def install(app: FastAPI) -> None:
    """Answer every error as documented."""
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
        StillLiveError,
        ThreadBusyError,
    ):
        app.add_exception_handler(conflict, _conflict)
    app.add_exception_handler(IdempotencyError, _other_request)
    app.add_exception_handler(WebhookError, _no_webhook)
    app.add_exception_handler(QueueFullError, _queue_full)
    app.add_exception_handler(QuotaExceededError, _quota_exceeded)
    app.add_exception_handler(TooManyRequestsError, _too_many)
    app.add_exception_handler(NotBuiltError, _not_built)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(EvaluationError, _incomplete)
    app.add_exception_handler(RunError, _failed)
    app.add_exception_handler(DatabaseUnavailableError, _unavailable)
    app.add_exception_handler(DatabaseError, _broken)


def documented(*codes: int, stream: bool = False) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that may answer with these codes.

    Args:
        stream: its good answer is a stream of events.

    Whatever needs a key (401) may also be asked too often, or by a stranger's page.
    """
    words = {
        401: "No key, or none that is valid",
        403: "The key's scopes do not allow this",
        404: "There is no such thing",
        408: "The body did not come in time",
        409: "Somebody else changed it first",
        413: "The body is too long",
        421: "There are no keys yet, and the Host is not this machine",
        422: "A field is wrong",
        429: "Too many runs wait, or too many requests came; retry after the seconds given",
        501: "LangGraph's wire has this, this server has not",
        507: "The caller's tenant has stored as much as it may",
        502: "The model could not do its part",
        503: "The database, the sandbox or the judge cannot do its part now; retry after the"
        " seconds given",
    }
    common = (421, 429, 503) if 401 in codes else (503,)
    if 413 in codes:  # what reads a body may have to wait for it in vain
        common = (408, *common)
    answers: dict[int | str, dict[str, Any]] = {
        code: {"model": Problem, "description": words[code]} for code in (*codes, *common)
    }
    if stream:
        answers[200] = {"description": "Events", "content": {"text/event-stream": {}}}
    return answers


class LastResort:
    """Answers what broke in no way that we know of, in our words and not in its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; if that fails before an answer has begun, give one."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if begun:
                raise
            await (await _broken(Request(scope), error))(scope, receive, send)


def _answer(
    code: int,
    detail: str,
    field: str | None = None,
    headers: Mapping[str, str] | None = None,
    outcome: ErrorOutcome | None = None,
) -> JSONResponse:
    if headers is None and code in (429, 503):
        headers = {"Retry-After": _RETRY_SECONDS}
    problem = Problem(
        detail=detail,
        field=field,
        outcome=outcome,
        request_id=request_ids.current.get(),
    )
    left_out = None if outcome else {"outcome"}
    return JSONResponse(problem.model_dump(exclude=left_out), code, headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it alone
    first = error.errors()[0]
    field = _path(first["loc"])
    if first["type"] == "json_invalid":
        return _answer(422, "body: is no valid JSON", "body")
    if field == "body" and "json" not in request.headers.get("content-type", ""):
        return _answer(422, "body: must be JSON, sent as content-type: application/json", field)
    return _answer(422, f"{field}: {first['msg'].removeprefix('Value error, ')}", field)


def _path(location: Sequence[object]) -> str:
    """Return a field's path as a caller writes it: `input.examples.0.call`."""
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


async def _no_webhook(_: Request, error: Exception) -> JSONResponse:
    return _answer(422, f"webhook: {error}", "webhook")


async def _queue_full(_: Request, error: Exception) -> JSONResponse:
    return _answer(429, "too many runs wait already; try again later")


async def _quota_exceeded(_: Request, error: Exception) -> JSONResponse:
    return _answer(507, str(error))


async def _too_many(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TooManyRequestsError)  # noqa: S101 - registered for it alone
    return _answer(429, str(error), headers={"Retry-After": str(error.retry_after)})


async def _misdirected(_: Request, error: Exception) -> JSONResponse:
    return _answer(421, f"Host: {error}", "Host")


async def _not_built(_: Request, error: Exception) -> JSONResponse:
    return _answer(501, str(error))


async def _not_found(_: Request, error: Exception) -> JSONResponse:
    return _answer(404, str(error))


async def _conflict(_: Request, error: Exception) -> JSONResponse:
    return _answer(409, str(error))


async def _unavailable(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DatabaseUnavailableError)  # noqa: S101 - registered for it alone
    logger.warning("%s", error)
    return _answer(503, f"{error.summary} now; try again in a few seconds")


async def _refused(_: Request, error: Exception) -> JSONResponse:
    """Answer what FastAPI and our limits refuse: no such route or method, too long a body."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    if error.status_code == 400:  # FastAPI has it that a body could not be read
        return _answer(422, f"body: must be {BODY_RULES}", "body")
    field = "body" if error.status_code in (408, 413) else None
    return _answer(error.status_code, error.detail, field, error.headers)


async def _incomplete(_: Request, error: Exception) -> JSONResponse:
    return _class_of(error, 503)


async def _failed(_: Request, error: Exception) -> JSONResponse:
    """Answer a role's caller: what went wrong, its outcome, under which prompt version."""
    assert isinstance(error, RunError)  # noqa: S101 - registered for it and its kinds alone
    return _class_of(error, 422 if error.outcome == "request" else 502)


def _class_of(error: Exception, code: int) -> JSONResponse:
    assert isinstance(error, RunError)  # noqa: S101 - registered for it and its kinds alone
    logger.warning("%s", error, extra={"outcome": error.outcome})
    answer = _answer(code, str(error), outcome=error.outcome)
    for version in error.prompt_versions.values():
        answer.headers["x-prompt-version"] = str(version)
    return answer


async def _broken(request: Request, error: Exception) -> JSONResponse:
    logger.error("%s %r broke", request.method, request.url.path, exc_info=error)
    return _answer(status.HTTP_500_INTERNAL_SERVER_ERROR, "an internal error; the log has it")
