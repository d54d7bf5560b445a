"""The HTTP application."""

from fastapi import FastAPI

from server import errors
from server.execution import Service
from server.routes import health, prompts, runs

_DESCRIPTION = """An agent that writes Python on request, judges it, and repairs its own prompts.

Every error is answered as `{"detail", "field"}`: what is wrong, and which field if one is.
"""


def create_app(service: Service) -> FastAPI:
    """Return the application that serves an open service; closing it is the caller's."""
    app = FastAPI(title="selfheal", version="0.1.0", description=_DESCRIPTION)
    app.state.service = service
    for routes in (runs, prompts, health):
        app.include_router(routes.router)
    errors.install(app)
    return app
