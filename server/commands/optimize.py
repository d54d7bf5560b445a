"""`selfheal optimize`: one pass of the optimizer, for a CronJob."""

import json
import sys
from typing import Any

import click
from rich.console import Console

from db.prompts import Agent
from graph.context import open_parts, require_model
from graph.data import open_data
from graph.settings import read_settings
from optimizer.context import open_doctor
from optimizer.passes import Optimizer
from optimizer.state import Trigger
from server.commands.opened import run_async
from server.tracing import tracing


@click.command()
@click.option(
    "--agent",
    type=click.Choice(["manager", "worker", "evaluator"]),
    help="Whose prompt to look at.  [default: whichever is to blame]",
)
@click.option("--force", is_flag=True, help="Heal even if failures are too few, or it is too soon.")
@run_async
async def optimize(agent: Agent | None, force: bool) -> None:
    """Make one pass and print one JSON line of how it ended."""
    settings = read_settings()
    require_model(settings)
    console = Console(stderr=True)

    def watch(state: str, _: dict[str, Any]) -> None:
        if sys.stderr.isatty():
            console.print(f"[dim]{state} done[/dim]")

    async with (
        tracing(),
        open_data(settings) as database,
        open_parts(settings, database) as context,
        open_doctor(settings, database, context) as doctor,
    ):
        trigger = Trigger(trigger="command", forced=force)
        if agent:
            trigger["agent"] = agent
        result = await Optimizer(doctor, watch).run(trigger)
    shown = {"agent": result["agent"], "outcome": result["outcome"], "healing_id": None, **result}
    click.echo(json.dumps(shown))
