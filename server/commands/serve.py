"""`selfheal serve`: the service on this machine, or one of its roles."""

import socket

import click
from fastapi import FastAPI

from db import keys
from db.pool import Database
from graph.context import (
    models_for,
    open_evaluator,
    open_model,
    packages_of,
    require_judge,
    require_model,
)
from graph.data import open_data
from graph.settings import Settings, read_settings
from optimizer.context import open_doctor
from server.app import (
    create_app,
    create_evaluator_app,
    create_runner_app,
    create_worker_app,
)
from server.binding import PORTS, listen
from server.commands.failures import Refused
from server.commands.opened import run_async
from server.listening import serve_until_told
from server.logs import log_to_stderr
from server.loopback import is_loopback
from server.metrics.deployment import BY_CRONJOB, Deployment
from server.metrics.exposition import exposing
from server.metrics.pool import Connections
from server.optimizer_run import OptimizerRun
from server.scheduler import scheduling
from server.service import executing, open_service
from server.tracing import tracing
from server.writing import Writing


@run_async
async def serve(role: str, host: str, port: int | None, metrics_port: int | None) -> None:
    """Serve the agent over HTTP, with the optimizer's scheduler, or one role of it."""
    settings = read_settings()
    log_to_stderr(settings)
    port = PORTS[role] if port is None else port
    if metrics_port is None:
        metrics_port = _metrics_port(port)
    with listen(host, port) as listener, listen(host, metrics_port, "--metrics-port") as metrics:
        if role in ("worker", "evaluator") and settings.role_key is None:
            _only_loopback(host, "set SELFHEAL_ROLE_KEY")
        if role == "evaluator":
            await _serve_evaluator(settings, listener, metrics)
        elif role == "worker":
            await _serve_worker(settings, listener, metrics)
        else:
            await _serve_agent(settings, role, host, listener, metrics)


def _metrics_port(port: int) -> int:
    """Return the port 1000 above; any free one where the other is any, or none is above."""
    return port + 1000 if 0 < port <= 64535 else 0


async def _serve_agent(
    settings: Settings, role: str, host: str, listener: socket.socket, metrics: socket.socket
) -> None:
    every = settings.optimize_every_seconds if role == "all" else 0
    async with open_service(settings, alone=role == "all") as service:
        await service.context.model.connect()
        deployment = Deployment(service.database, every or BY_CRONJOB)
        guarded = role == "runner" or await _guarded(settings, service.database, host)
        async with (
            open_doctor(settings, service.database, service.context) as doctor,
            scheduling(doctor, every) as scheduler,
            executing(service),
            exposing(metrics, Connections(service.database), deployment=deployment),
        ):
            service.runner.tell(scheduler.observe)
            service.runner.also_performs("optimizer", OptimizerRun(doctor))
            sandbox = service.context.evaluator.sandbox.name
            what = f"role {role}, model {settings.model}, sandbox {sandbox}"
            quiet = role == "runner"
            app = create_runner_app(service) if quiet else create_app(service, scheduler)
            await _serve(app, listener, metrics, what, guarded=guarded)


async def _serve_worker(
    settings: Settings, listener: socket.socket, metrics: socket.socket
) -> None:
    require_model(settings)
    packages = packages_of(settings)
    async with (
        tracing(),
        open_data(settings) as database,
        open_model(settings, models_for(settings, "agent")) as model,
        exposing(metrics, Connections(database)),
    ):
        await model.connect()
        guarded = settings.role_key is not None
        writing = Writing(database, model, packages, settings.max_concurrency)
        app, what = create_worker_app(writing, settings), f"role worker, model {settings.model}"
        await _serve(app, listener, metrics, what, guarded=guarded)


async def _serve_evaluator(
    settings: Settings, listener: socket.socket, metrics: socket.socket
) -> None:
    require_judge(settings)
    async with tracing(), open_evaluator(settings) as evaluator, exposing(metrics):
        await evaluator.model.connect()
        sandbox = evaluator.sandbox.name
        what = f"role evaluator, judge {settings.judges_by}, sandbox {sandbox}"
        app, guarded = create_evaluator_app(evaluator, settings), settings.role_key is not None
        await _serve(app, listener, metrics, what, guarded=guarded)


async def _guarded(settings: Settings, database: Database, host: str) -> bool:
    """Return whether callers need a key.

    Raises:
        Refused: nobody has one, and strangers could reach us.
    """
    async with database.connection() as connection:
        if settings.bootstrap_key is not None:
            await keys.bootstrap(connection, settings.bootstrap_key.get_secret_value())
        if await keys.some(connection):
            return True
    _only_loopback(host)
    return False


async def _serve(
    app: FastAPI, listener: socket.socket, metrics: socket.socket, what: str, *, guarded: bool
) -> None:
    def announce() -> None:
        who = "callers need a key" if guarded else "without keys: this machine only"
        click.echo(f"selfheal: metrics on {_address(metrics)}/metrics")
        click.echo(f"selfheal: serving on {_address(listener)} ({what}), {who}")

    await serve_until_told(app, listener, announce)


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


_MAKE_A_KEY = "make a key with `selfheal keys create`, or set SELFHEAL_BOOTSTRAP_KEY"


def _only_loopback(host: str, mend: str = _MAKE_A_KEY) -> None:
    """Refuse to serve strangers: there are no keys that could tell them apart."""
    if not is_loopback(host):
        raise Refused(
            f"--host {host}: without keys only a loopback address such as 127.0.0.1; {mend}"
        )
