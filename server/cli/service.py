"""The commands that are not of a family: the service, a pass of the optimizer, the demo, upkeep."""

import click

from selfheal.server.binding import PORTS
from selfheal.server.cli.deferred import implemented_by
from selfheal.server.cli.options import AGENTS, as_json


@click.command()
@click.option("--json", "json_file", type=click.Path(dir_okay=False), help="Write figures here.")
@click.option(
    "--report", default="demo-report", show_default=True, type=click.Path(file_okay=False)
)
@click.option("--cycles", default=2, show_default=True, type=click.IntRange(1, 20))
@click.option("--seed", default=0, show_default=True, help="For the simulated model.")
@implemented_by("demo:demo")
def demo() -> None:
    """Break a prompt, heal it and show the proof, in a database of its own.

    With GOOGLE_API_KEY set it uses Gemini; without it, a SIMULATED one.
    """


@click.command()
@click.option(
    "--role",
    type=click.Choice(tuple(PORTS)),
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
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    help="The port of /metrics.  [default: 1000 above the other]",
)
@implemented_by("serve:serve")
def serve() -> None:
    """Serve the agent over HTTP, with the optimizer's scheduler, or one role of it."""


@click.command()
@click.option(
    "--agent",
    type=click.Choice(AGENTS),
    help="Whose prompt to look at.  [default: whichever is to blame]",
)
@click.option("--force", is_flag=True, help="Heal even if failures are too few, or it is too soon.")
@click.option(
    "--diet",
    is_flag=True,
    help="Leave sentences out that nobody misses, of the worker's or the --agent manager's prompt."
    " Asks for no failures, so it goes not with --force; once for a version.",
)
@implemented_by("optimize:optimize")
def optimize() -> None:
    """Make one pass and print one JSON line of how it ended."""


@click.command()
@implemented_by("migrate:migrate")
def migrate() -> None:
    """Bring the database's schema up to this version. Safe to run again, and side by side."""


@click.command()
@as_json
@implemented_by("doctor:doctor")
def doctor() -> None:
    """Look at everything that a run needs, and say how to mend what is missing."""


@click.command()
@as_json
@implemented_by("prune:prune")
def prune() -> None:
    """Forget old runs, and earlier states of quiet threads and closed healings.

    The service does so every hour. SELFHEAL_RETENTION_DAYS (90) is for runs,
    SELFHEAL_STATE_RETENTION_DAYS (7) for states, streamed events and webhooks; 0 keeps for ever.
    Prompts, releases, receipts, and runs that people marked stay.
    """
