"""`selfheal serve`: the service on this machine."""

import ipaddress

import click

from graph.settings import read_settings
from optimizer.context import open_doctor
from server.app import create_app
from server.commands.failures import Refused
from server.commands.opened import run_async
from server.execution import open_service
from server.listening import listen, serve_until_told
from server.scheduler import scheduling


@click.command()
@click.option("--role", type=click.Choice(["all"]), default="all", show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@run_async
async def serve(role: str, host: str, port: int) -> None:
    """Serve the agent over HTTP, with the optimizer's scheduler, everything in one process."""
    _only_loopback(host)
    settings = read_settings()
    with listen(host, port) as listener:
        async with (
            open_service(settings) as service,
            open_doctor(settings, service.database, service.context) as doctor,
            scheduling(doctor, settings.optimize_every_seconds) as scheduler,
        ):
            service.tell(scheduler.observe)
            click.echo(
                f"selfheal: serving on http://{host}:{listener.getsockname()[1]}"
                f" (role {role}, model {settings.model}, sandbox {service.context.sandbox.name}),"
                " without keys: this machine only"
            )
            await serve_until_told(create_app(service, scheduler), listener)


def _only_loopback(host: str) -> None:
    """Refuse to serve strangers: there are no keys that could tell them apart."""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise Refused(f"--host {host}: without keys only a loopback address such as 127.0.0.1")
