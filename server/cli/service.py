"""The top-level commands: demo, service, optimizer, migration, diagnosis, pruning."""

import click

from selfheal.server.cli.deferred import implemented_by
from selfheal.server.cli.options import AGENTS, as_json
from selfheal.server.http.binding import PORTS


@click.command()
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False), help="Write the figures to this file."
)
@click.option(
    "--report",
    default="demo-report",
    show_default=True,
    type=click.Path(file_okay=False),
    help="The folder of the report.",
)
@click.option(
    "--cycles",
    default=2,
    show_default=True,
    type=click.IntRange(1, 20),
    help="Rounds of requests before and after the healing.",
)
@click.option("--seed", default=0, show_default=True, help="The seed of the simulated model.")
@implemented_by("demo:demo")
def demo() -> None:
    """Break a prompt, heal it and show the evidence.

    Runs in a temporary database. Uses Gemini if GOOGLE_API_KEY is set, otherwise a SIMULATED one.
    """


@click.command()
@click.option(
    "--role",
    type=click.Choice(tuple(PORTS)),
    default="all",
    show_default=True,
    help="The role of this process. `all` combines the roles, and alone makes scheduled passes.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="The port.  [default: 8000; worker 8001, evaluator 8002, runner 8003]",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    help="The port of /metrics.  [default: 1000 above --port]",
)
@implemented_by("serve:serve")
def serve() -> None:
    """Serve the agent over HTTP, or one of its roles.

    With the role `all`, prompts are healed as well: after failed runs, and on a schedule.
    """


@click.command()
@click.option(
    "--agent",
    type=click.Choice(AGENTS),
    help="The agent whose prompt to heal.  [default: the one that caused the failures]",
)
@click.option(
    "--force", is_flag=True, help="Heal even with too few failures, or during the cool-down."
)
@click.option(
    "--diet",
    is_flag=True,
    help="Shorten the prompt (the worker's, or the manager's with --agent): remove sentences whose"
    " removal does not reduce scores. Needs no failures, so it cannot be combined with --force."
    " Each version can be shortened once.",
)
@implemented_by("optimize:optimize")
def optimize() -> None:
    """Make one optimizer pass.

    Prints its outcome as one line of JSON.
    """


@click.command()
@implemented_by("migrate:migrate")
def migrate() -> None:
    """Migrate the database's schema to this version. Safe to repeat and to run concurrently."""


@click.command()
@as_json
@implemented_by("doctor:doctor")
def doctor() -> None:
    """Check the installation: settings, database, sandbox and models.

    Shows the settings in effect, and each check with a remedy if it fails. Exit code 1 if
    something that a run needs is missing.
    """


@click.command()
@as_json
@implemented_by("prune:prune")
def prune() -> None:
    """Delete old runs and checkpoints.

    The service does so every hour. SELFHEAL_RETENTION_DAYS (90) applies to runs,
    SELFHEAL_STATE_RETENTION_DAYS (7) to earlier checkpoints of idle threads and closed healings,
    streamed events and webhooks; 0 keeps them for ever. Prompts, releases, receipts and runs with
    feedback are kept.
    """
