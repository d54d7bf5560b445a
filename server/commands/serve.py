"""`selfheal serve`: the service on this machine, or one of its roles."""

import socket

import click

from db import keys
from db.pool import Database
from graph.context import open_evaluator, require_judge
from graph.settings import Settings, read_settings
from optimizer.context import open_doctor
from server.app import create_app, create_evaluator_app
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

_PORTS = {"all": 8000, "evaluator": 8002}


@click.command()
@click.option(
    "--role",
    type=click.Choice(tuple(_PORTS)),
    default="all",
    show_default=True,
    help="Everything, or the evaluator alone: no database, no key but the judge's.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="The port. [default: 8000, evaluator: 8002]"
)
@run_async
async def serve(role: str, host: str, port: int | None) -> None:
    """Serve the agent over HTTP, with the optimizer's scheduler, or one role of it."""
    settings = read_settings()
    log_with_request_ids()
    with listen(host, _PORTS[role] if port is None else port) as listener:
        if role == "evaluator":
            _only_loopback(host)
            await _serve_evaluator(settings, listener)
        else:
            await _serve_all(settings, host, listener)


async def _serve_all(settings: Settings, host: str, listener: socket.socket) -> None:
    async with open_service(settings) as service:
        guarded = await _guarded(settings, service.database, host)
        async with (
            open_doctor(settings, service.database, service.context) as doctor,
            scheduling(doctor, settings.optimize_every_seconds) as scheduler,
            executing(service) as stop,
        ):
            service.runner.tell(scheduler.observe)
            service.runner.also_performs("optimizer", OptimizerRun(doctor))
            sandbox = service.context.evaluator.sandbox.name
            what = f"role all, model {settings.model}, sandbox {sandbox}"
            _announce(listener, what, guarded=guarded)
            await serve_until_told(create_app(service, scheduler), listener, stop)


async def _serve_evaluator(settings: Settings, listener: socket.socket) -> None:
    require_judge(settings)
    async with tracing(), open_evaluator(settings) as evaluator:
        sandbox = evaluator.sandbox.name
        what = f"role evaluator, judge {settings.judges_by}, sandbox {sandbox}"
        _announce(listener, what, guarded=False)
        app = create_evaluator_app(evaluator, settings.max_concurrency)
        await serve_until_told(app, listener)


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


def _only_loopback(host: str) -> None:
    """Refuse to serve strangers: there are no keys that could tell them apart."""
    if not is_loopback(host):
        raise Refused(
            f"--host {host}: without keys only a loopback address such as 127.0.0.1;"
            " make a key with `selfheal keys create`, or set SELFHEAL_BOOTSTRAP_KEY"
        )
