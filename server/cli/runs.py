"""`selfheal runs …`: the run log."""

from typing import Final

import click

from selfheal.server.cli.deferred import implemented_by
from selfheal.server.cli.options import as_json, limit

# A copy of those in selfheal.db.runs, which is too slow to import here: a test compares them.
OUTCOMES: Final = (
    *("ok", "failed", "output", "infrastructure"),
    *("model", "evaluation", "request"),
)


@click.group()
def runs() -> None:
    """Inspect the run log."""


@runs.command("list")
@limit
@click.option("--outcome", type=click.Choice(OUTCOMES), help="Only runs with this outcome.")
@as_json
@implemented_by("runs:list_")
def list_() -> None:
    """List the newest runs."""


@runs.command()
@click.argument("run_id", type=click.UUID)
@as_json
@implemented_by("runs:show")
def show() -> None:
    """Show one run: request, code, verdict with its reasons, and feedback."""
