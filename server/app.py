"""The HTTP application."""

from fastapi import FastAPI

from server import errors
from server.execution import Service
from server.routes import healings, health, prompts, runs
from server.scheduler import Scheduler

_DESCRIPTION = """An agent that writes Python on request, judges it, and repairs its own prompts.

Every error is answered as `{"detail", "field"}`: what is wrong, and which field if one is.
"""


def create_app(service: Service, scheduler: Scheduler) -> FastAPI:
    """Return the application that serves what is open; closing it is the caller's."""
    app = FastAPI(title="selfheal", version="0.1.0", description=_DESCRIPTION)
    app.state.service = service
    app.state.scheduler = scheduler
    for routes in (runs, prompts, healings, health):
        app.include_router(routes.router)
    errors.install(app)
    return app
