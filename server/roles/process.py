"""The process of one role: what it opens, and what it serves.

Importing this takes seconds: it needs all of the agent's libraries.
"""

import socket
from contextlib import nullcontext

import click
from fastapi import FastAPI

from selfheal.app.llm.models import models_for, open_model, require_judge, require_model
from selfheal.db import api_keys
from selfheal.db.bootstrap import open_migrated
from selfheal.db.pool import Database
from selfheal.graph.evaluator import open_evaluator
from selfheal.graph.prompts import first_prompts
from selfheal.graph.sandbox.packages import configured_packages
from selfheal.optimizer.context import open_optimizer_context
from selfheal.server.app import (
    create_app,
    create_evaluator_app,
    create_runner_app,
    create_worker_app,
)
from selfheal.server.execution.optimizer_executor import OptimizerRun
from selfheal.server.http_server import serve_until_told
from selfheal.server.model_address import publish_model_address
from selfheal.server.observability.langsmith import tracing
from selfheal.server.observability.metrics.deployment import BY_CRONJOB, Deployment
from selfheal.server.observability.metrics.exposition import exposing
from selfheal.server.observability.metrics.pool import Connections
from selfheal.server.optimizer_scheduler import scheduling
from selfheal.server.roles.worker import Writing
from selfheal.server.service import executing, open_service
from selfheal.server.settings import ServerSettings


async def serve_role(
    settings: ServerSettings,
    role: str,
    listener: socket.socket,
    metrics: socket.socket,
    connections: int,
) -> None:
    """Serve a role on sockets that listen already, until a signal ends it.

    Args:
        settings: of this process.
        role: what it does; see `PORTS`.
        listener: where it is called.
        metrics: where `/metrics` is served.
        connections: how many may be open at once.

    Raises:
        SettingsError: no model can be called with these settings.
        DatabaseError: Postgres cannot be reached, or has a newer schema.
        EmbeddedPostgresError: the embedded Postgres does not start.
        SandboxUnavailable: the sandbox that was asked for does not work here.
    """
    if role == "evaluator":
        await _serve_evaluator(settings, listener, metrics, connections)
    elif role == "worker":
        await _serve_worker(settings, listener, metrics, connections)
    else:
        # Commands on this machine look for a whole service, not for one of its roles.
        beside = publish_model_address(settings) if role == "all" else nullcontext()
        with beside:
            await _serve_agent(settings, role, listener, metrics, connections)


async def _serve_agent(
    settings: ServerSettings,
    role: str,
    listener: socket.socket,
    metrics: socket.socket,
    connections: int,
) -> None:
    every = settings.optimize_every_seconds if role == "all" else 0
    async with open_service(settings, alone=role == "all") as service:
        await service.context.model.connect()
        deployment = Deployment(service.database, every or BY_CRONJOB)
        guarded = role == "runner" or await _has_keys(settings, service.database)
        async with (
            open_optimizer_context(settings, service.database, service.context) as doctor,
            scheduling(doctor, every) as scheduler,
            executing(service),
            exposing(metrics, Connections(service.database), deployment=deployment),
        ):
            service.runner.tell(scheduler.observe)
            service.runner.also_performs("optimizer", OptimizerRun(doctor))
            sandbox = service.context.evaluator.sandbox_name
            what = f"role {role}, model {settings.model}, sandbox {sandbox}"
            quiet = role == "runner"
            app = create_runner_app(service) if quiet else create_app(service, scheduler)
            await _serve(app, listener, metrics, what, connections, guarded=guarded)


async def _serve_worker(
    settings: ServerSettings, listener: socket.socket, metrics: socket.socket, connections: int
) -> None:
    require_model(settings)
    packages = configured_packages(settings)
    async with (
        tracing(),
        open_migrated(settings, first_prompts()) as database,
        open_model(settings, models_for(settings, "agent")) as model,
        exposing(metrics, Connections(database)),
    ):
        await model.connect()
        guarded = settings.role_key is not None
        writing = Writing(database, model, packages, settings.max_concurrency)
        app, what = create_worker_app(writing, settings), f"role worker, model {settings.model}"
        await _serve(app, listener, metrics, what, connections, guarded=guarded)


async def _serve_evaluator(
    settings: ServerSettings, listener: socket.socket, metrics: socket.socket, connections: int
) -> None:
    require_judge(settings)
    async with tracing(), open_evaluator(settings) as evaluator, exposing(metrics):
        await evaluator.model.connect()
        sandbox = evaluator.sandbox.name
        what = f"role evaluator, judge {settings.judge_model_name}, sandbox {sandbox}"
        app, guarded = create_evaluator_app(evaluator, settings), settings.role_key is not None
        await _serve(app, listener, metrics, what, connections, guarded=guarded)


async def _has_keys(settings: ServerSettings, database: Database) -> bool:
    """Return whether callers need a key; make the one of the settings first."""
    async with database.connection() as connection:
        if settings.bootstrap_key is not None:
            await api_keys.bootstrap(connection, settings.bootstrap_key.get_secret_value())
        return await api_keys.some(connection)


async def _serve(
    app: FastAPI,
    listener: socket.socket,
    metrics: socket.socket,
    what: str,
    connections: int,
    *,
    guarded: bool,
) -> None:
    def announce() -> None:
        who = "callers need a key" if guarded else "without keys: this machine only"
        click.echo(f"selfheal: metrics on {_address(metrics)}/metrics")
        click.echo(f"selfheal: serving on {_address(listener)} ({what}), {who}")

    await serve_until_told(app, listener, announce, connections)


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
