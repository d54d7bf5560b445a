"""The HTTP applications of the roles."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.middleware.cors import CORSMiddleware

from selfheal.graph.evaluator import Evaluator
from selfheal.server.api import errors
from selfheal.server.api.middleware import BodyLimit, RequestIds
from selfheal.server.api.routes import (
    assistants,
    crons,
    healings,
    health,
    judge,
    not_implemented,
    prompts,
    roles,
    runs,
    thread_runs,
    threads,
)
from selfheal.server.auth.limits import RateLimiter
from selfheal.server.execution.optimizer_runs import OptimizerScheduler
from selfheal.server.execution.role_services import EvaluatorService, WorkerService
from selfheal.server.service import Service
from selfheal.server.settings import ServerSettings

_DESCRIPTION = """An agent that writes Python on request, evaluates it, and repairs its own prompts.

Every error is answered as `{"detail", "field", "request_id"}`: what is wrong, the invalid field if
there is one, and the id of the request in the log.
"""

_CORS: Final[dict[str, Any]] = {
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


def create_app(service: Service, scheduler: OptimizerScheduler) -> FastAPI:
    """Return the application of the roles `all` and `manager`. The caller closes the service."""
    settings = service.settings
    routers = (
        assistants.router,
        threads.router,
        thread_runs.router,
        crons.router,
        not_implemented.router,
        runs.router,
        prompts.router,
        healings.router,
        judge.router,
        health.info_router,
    )
    app = _application(service.check, *routers, origins=settings.cors_origins)
    app.state.service = service
    app.state.rate_limiter = RateLimiter(settings.rate_per_minute)
    app.state.scheduler = scheduler
    return app


def create_evaluator_app(evaluator: Evaluator, settings: ServerSettings) -> FastAPI:
    """Return the application of the role `evaluator`."""
    app = _application(_always_ready, roles.evaluator_router)
    app.state.evaluator = EvaluatorService(evaluator, settings.max_concurrency)
    app.state.role_key = settings.role_key
    return app


def create_worker_app(worker: WorkerService, settings: ServerSettings) -> FastAPI:
    """Return the application of the role `worker`."""
    app = _application(worker.check, roles.worker_router)
    app.state.worker = worker
    app.state.role_key = settings.role_key
    return app


def create_runner_app(service: Service) -> FastAPI:
    """Return the application of the role `runner`: its health, and nothing else."""
    return _application(service.check)


def _application(check: health.Check, *routers: APIRouter, origins: Sequence[str] = ()) -> FastAPI:
    app = FastAPI(title="selfheal", version=version("selfheal"), description=_DESCRIPTION)
    app.state.readiness = health.Readiness(check)
    for router in (*routers, health.router):
        app.include_router(router)
    errors.install(app)
    # The middleware that is added last is called first.
    app.add_middleware(BodyLimit)
    app.add_middleware(errors.LastResort)
    if origins:
        app.add_middleware(CORSMiddleware, allow_origins=origins, **_CORS)
    app.add_middleware(RequestIds)
    return app


async def _always_ready() -> None:
    """Succeed: the evaluator has no database, and its sandbox was tested at the start."""
