"""The process of one role: what it opens, and what it serves.

It imports all of the agent's libraries, which takes seconds.
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
from selfheal.server.app import (
    create_app,
    create_evaluator_app,
    create_runner_app,
    create_worker_app,
)
from selfheal.server.execution.optimizer_runs import scheduling
from selfheal.server.execution.role_services import WorkerService
from selfheal.server.http.server import serve_until_stopped
from selfheal.server.model_address import publish_model_address
from selfheal.server.observability.langsmith import tracing
from selfheal.server.observability.metrics.deployment import CRONJOB_INTERVAL, Deployment
from selfheal.server.observability.metrics.exposition import exposing
from selfheal.server.observability.metrics.process import Connections
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
        settings: the settings of the service.
        role: one of `PORTS`.
        listener: the socket of the API.
        metrics: the socket of `/metrics`.
        connections: how many connections may be open at once.

    Raises:
        SettingsError: no model can be called with these settings.
        DatabaseError: Postgres cannot be reached, or has a newer schema.
        EmbeddedPostgresError: the embedded Postgres does not start.
        SandboxUnavailable: the requested sandbox does not work here.
    """
    if role == "evaluator":
        await _serve_evaluator(settings, listener, metrics, connections)
    elif role == "worker":
        await _serve_worker(settings, listener, metrics, connections)
    else:
        # Commands on this machine look for a whole service, not for a single role.
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
    alone = role == "all"  # else runs are executed, and passes made, by other processes too
    interval = settings.optimize_every_seconds if alone else 0
    async with open_service(settings, local=alone, interval=interval) as (service, scheduler):
        await service.context.model.connect()
        deployment = Deployment(service.database, interval or CRONJOB_INTERVAL)
        guarded = role == "runner" or await _has_keys(settings, service.database)
        async with (
            scheduling(scheduler),
            executing(service),
            exposing(metrics, Connections(service.database), deployment=deployment),
        ):
            sandbox = service.context.evaluator.sandbox_name
            what = f"role {role}, model {settings.model}, sandbox {sandbox}"
            health_only = role == "runner"
            app = create_runner_app(service) if health_only else create_app(service, scheduler)
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
        worker = WorkerService(database, model, packages, settings.max_concurrency)
        app, what = create_worker_app(worker, settings), f"role worker, model {settings.model}"
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
    """Return whether callers need a key; store the one of the settings first."""
    async with database.connection() as connection:
        if settings.bootstrap_key is not None:
            await api_keys.bootstrap(connection, settings.bootstrap_key.get_secret_value())
        return await api_keys.any_exist(connection)


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

    await serve_until_stopped(app, listener, announce, connections)


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
