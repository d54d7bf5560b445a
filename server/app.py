"""The HTTP application."""

from collections.abc import Sequence
from importlib.metadata import version
from types import ModuleType
from typing import Any, Final

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from selfheal.graph.evaluator import Evaluator
from selfheal.server.api import errors
from selfheal.server.api.limits import BodyLimit
from selfheal.server.api.request_ids import RequestIds
from selfheal.server.api.routes import (
    assistants,
    crons,
    evaluate,
    execute,
    healings,
    health,
    meta,
    not_implemented,
    prompts,
    runs,
    thread_runs,
    threads,
)
from selfheal.server.auth.rate_limit import Rates
from selfheal.server.optimizer_scheduler import Scheduler
from selfheal.server.roles.evaluator import Evaluating
from selfheal.server.roles.worker import Writing
from selfheal.server.service import Service
from selfheal.server.settings import ServerSettings

_DESCRIPTION = """An agent that writes Python on request, judges it, and repairs its own prompts.

Every error is answered as `{"detail", "field", "request_id"}`: what is wrong, which field if one
is, and the name under which the log has the request.
"""

_BROWSERS: Final[dict[str, Any]] = {
    "allow_methods": ("GET", "POST", "PUT", "PATCH", "DELETE"),
    "allow_headers": (
        "x-api-key",
        "authorization",
        "content-type",
        "idempotency-key",
        "last-event-id",
        "x-request-id",
    ),
    "expose_headers": (
        "content-location",
        "location",
        "x-request-id",
        "retry-after",
        "x-pagination-next",
    ),
}


def create_app(service: Service, scheduler: Scheduler) -> FastAPI:
    """Return the application that serves what is open; closing it is the caller's."""
    settings = service.settings
    routes = (
        assistants,
        threads,
        thread_runs,
        crons,
        not_implemented,
        runs,
        prompts,
        healings,
        meta,
    )
    app = _application(service.check, *routes, origins=settings.cors_origins)
    app.state.service = service
    app.state.rates = Rates(settings.rate_per_minute)
    app.state.scheduler = scheduler
    return app


def create_evaluator_app(evaluator: Evaluator, settings: ServerSettings) -> FastAPI:
    """Return the application of the evaluator's role: programs in, verdicts out."""
    app = _application(_always_ready, evaluate)
    app.state.evaluating = Evaluating(evaluator, settings.max_concurrency)
    app.state.role_key = settings.role_key
    return app


def create_worker_app(writing: Writing, settings: ServerSettings) -> FastAPI:
    """Return the application of the worker's role: plans in, programs out."""
    app = _application(writing.check, execute)
    app.state.writing = writing
    app.state.role_key = settings.role_key
    return app


def create_runner_app(service: Service) -> FastAPI:
    """Return the application of the runner's role: whether it lives, and nothing else."""
    return _application(service.check)


def _application(check: health.Check, *routes: ModuleType, origins: Sequence[str] = ()) -> FastAPI:
    app = FastAPI(title="selfheal", version=version("selfheal"), description=_DESCRIPTION)
    app.state.readiness = health.Readiness(check)
    for each in (*routes, health):
        app.include_router(each.router)
    errors.install(app)
    # The last one that is added is the first one that a request meets.
    app.add_middleware(BodyLimit)
    app.add_middleware(errors.LastResort)
    if origins:
        app.add_middleware(CORSMiddleware, allow_origins=origins, **_BROWSERS)
    app.add_middleware(RequestIds)
    return app


async def _always_ready() -> None:
    """There is nothing that an evaluator could lose: its sandbox was tried before it began."""
