"""`selfheal serve`: the service on this machine, or one of its roles."""

import socket

import click

from db import keys
from db.pool import Database
from graph.context import open_evaluator, open_model, require_judge, require_model
from graph.data import open_data
from graph.settings import Settings, read_settings
from optimizer.context import open_doctor
from server.app import (
    create_app,
    create_evaluator_app,
    create_runner_app,
    create_worker_app,
)
from server.binding import listen
from server.commands.failures import Refused
from server.commands.opened import run_async
from server.listening import serve_until_told
from server.loopback import is_loopback
from server.optimizer_run import OptimizerRun
from server.request_ids import log_with_request_ids
from server.scheduler import scheduling
from server.service import executing, open_service
from server.tracing import tracing
from server.writing import Writing

_PORTS = {"all": 8000, "manager": 8000, "worker": 8001, "evaluator": 8002, "runner": 8003}


@click.command()
@click.option(
    "--role",
    type=click.Choice(tuple(_PORTS)),
    default="all",
    show_default=True,
    help="Everything, or one role of it. The manager does everything but heal on a schedule.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="The port. [default: 8000; worker 8001, evaluator 8002, runner 8003]",
)
@run_async
async def serve(role: str, host: str, port: int | None) -> None:
    """Serve the agent over HTTP, with the optimizer's scheduler, or one role of it."""
    settings = read_settings()
    log_with_request_ids()
    with listen(host, _PORTS[role] if port is None else port) as listener:
        if role in ("worker", "evaluator") and settings.role_key is None:
            _only_loopback(host, "set SELFHEAL_ROLE_KEY")
        if role == "evaluator":
            await _serve_evaluator(settings, listener)
        elif role == "worker":
            await _serve_worker(settings, listener)
        else:
            await _serve_agent(settings, role, host, listener)


async def _serve_agent(settings: Settings, role: str, host: str, listener: socket.socket) -> None:
    every = settings.optimize_every_seconds if role == "all" else 0
    async with open_service(settings) as service:
        guarded = role == "runner" or await _guarded(settings, service.database, host)
        async with (
            open_doctor(settings, service.database, service.context) as doctor,
            scheduling(doctor, every) as scheduler,
            executing(service),
        ):
            service.runner.tell(scheduler.observe)
            service.runner.also_performs("optimizer", OptimizerRun(doctor))
            sandbox = service.context.evaluator.sandbox.name
            what = f"role {role}, model {settings.model}, sandbox {sandbox}"
            _announce(listener, what, guarded=guarded)
            quiet = role == "runner"
            app = create_runner_app(service) if quiet else create_app(service, scheduler)
            await serve_until_told(app, listener)


async def _serve_worker(settings: Settings, listener: socket.socket) -> None:
    require_model(settings)
    async with (
        tracing(),
        open_data(settings) as database,
        open_model(settings, settings.model) as model,
    ):
        guarded = settings.role_key is not None
        _announce(listener, f"role worker, model {settings.model}", guarded=guarded)
        writing = Writing(database, model, settings.max_concurrency)
        await serve_until_told(create_worker_app(writing, settings), listener)


async def _serve_evaluator(settings: Settings, listener: socket.socket) -> None:
    require_judge(settings)
    async with tracing(), open_evaluator(settings) as evaluator:
        sandbox = evaluator.sandbox.name
        what = f"role evaluator, judge {settings.judges_by}, sandbox {sandbox}"
        _announce(listener, what, guarded=settings.role_key is not None)
        await serve_until_told(create_evaluator_app(evaluator, settings), listener)


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


def _announce(listener: socket.socket, what: str, *, guarded: bool) -> None:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    who = "callers need a key" if guarded else "without keys: this machine only"
    click.echo(f"selfheal: serving on http://{shown}:{port} ({what}), {who}")


_MAKE_A_KEY = "make a key with `selfheal keys create`, or set SELFHEAL_BOOTSTRAP_KEY"


def _only_loopback(host: str, mend: str = _MAKE_A_KEY) -> None:
    """Refuse to serve strangers: there are no keys that could tell them apart."""
    if not is_loopback(host):
        raise Refused(
            f"--host {host}: without keys only a loopback address such as 127.0.0.1; {mend}"
        )
