"""`selfheal optimize`: one pass of the optimizer, for a CronJob."""

import json
import sys

import click
from rich.console import Console

from selfheal.db.types import Agent
from selfheal.graph.context import open_parts, require_model
from selfheal.graph.database import open_data
from selfheal.optimizer.context import open_optimizer_context
from selfheal.optimizer.runner import Optimizer
from selfheal.optimizer.state import SHORTENING, State, Trigger
from selfheal.optimizer.wording import shown_result
from selfheal.server.commands.errors import Refused
from selfheal.server.commands.runtime import run_async
from selfheal.server.model_address import read_settings_beside_service
from selfheal.server.observability.langsmith import tracing
from selfheal.server.observability.logs import log_to_stderr


@run_async
async def optimize(agent: Agent | None, force: bool, diet: bool) -> None:
    """Make one pass and print one JSON line of how it ended."""
    trigger = _trigger(agent, force=force, diet=diet)
    settings = read_settings_beside_service()
    log_to_stderr(settings)
    require_model(settings)
    console = Console(stderr=True)

    def watch(state: str, _: State) -> None:
        if sys.stderr.isatty():
            console.print(f"[dim]{state} done[/dim]")

    async with (
        tracing(),
        open_data(settings, create=False) as database,
        open_parts(settings, database) as context,
        open_optimizer_context(settings, database, context) as doctor,
    ):
        result = await Optimizer(doctor, watch).run(trigger)
    first = {"agent": result["agent"], "outcome": result["outcome"], "healing_id": None}
    click.echo(json.dumps({**first, **shown_result(result)}))


def _trigger(agent: Agent | None, *, force: bool, diet: bool) -> Trigger:
    """Return what the pass is asked to look at.

    Raises:
        Refused: there is no such pass.
    """
    if diet and force:
        raise Refused("--diet goes not with --force: a diet waits for no failures")
    if diet and agent == "evaluator":
        raise Refused("the evaluator goes on no diet, since scores of two judges do not compare")
    if diet:
        return Trigger(trigger=SHORTENING, agent=agent or "worker")
    trigger = Trigger(trigger="command", forced=force)
    if agent:
        trigger["agent"] = agent
    return trigger
