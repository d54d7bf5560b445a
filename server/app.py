"""The HTTP application."""

from collections.abc import Awaitable, Callable
from types import ModuleType

from fastapi import FastAPI

from graph.evaluation import Evaluator
from server import errors
from server.evaluating import Evaluating
from server.limits import BodyLimit
from server.routes import (
    assistants,
    evaluate,
    healings,
    health,
    meta,
    prompts,
    runs,
    thread_runs,
    threads,
    unbuilt,
)
from server.scheduler import Scheduler
from server.service import Service

_DESCRIPTION = """An agent that writes Python on request, judges it, and repairs its own prompts.

Every error is answered as `{"detail", "field"}`: what is wrong, and which field if one is.
"""


def create_app(service: Service, scheduler: Scheduler) -> FastAPI:
    """Return the application that serves what is open; closing it is the caller's."""
    app = _application(
        service.check, assistants, threads, thread_runs, unbuilt, runs, prompts, healings, meta
    )
    app.state.service = service
    app.state.scheduler = scheduler
    return app


def create_evaluator_app(evaluator: Evaluator, most_at_once: int) -> FastAPI:
    """Return the application of the evaluator's role: programs in, verdicts out."""
    app = _application(_always_ready, evaluate)
    app.state.evaluating = Evaluating(evaluator, most_at_once)
    return app


def _application(check: Callable[[], Awaitable[None]], *routes: ModuleType) -> FastAPI:
    app = FastAPI(title="selfheal", version="0.1.0", description=_DESCRIPTION)
    app.state.check = check
    for each in (*routes, health):
        app.include_router(each.router)
    app.add_middleware(BodyLimit)
    errors.install(app)
    return app


async def _always_ready() -> None:
    """There is nothing that an evaluator could lose: its sandbox was tried before it began."""
