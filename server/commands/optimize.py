"""`selfheal optimize`: one optimizer pass, for instance from a CronJob."""

import json
import sys

import click
from rich.console import Console

from selfheal.app.llm.models import require_model
from selfheal.db.bootstrap import open_migrated
from selfheal.db.types import Agent
from selfheal.graph.context import open_parts
from selfheal.graph.prompts import first_prompts
from selfheal.optimizer.context import open_optimizer_context
from selfheal.optimizer.runner import Optimizer
from selfheal.optimizer.state import SHORTENING, State, Trigger
from selfheal.optimizer.wording import shown_result
from selfheal.server.commands.errors import CommandError
from selfheal.server.commands.runtime import run_async
from selfheal.server.model_address import read_settings_beside_service
from selfheal.server.observability.langsmith import tracing
from selfheal.server.observability.logs import log_to_stderr


@run_async
async def optimize(agent: Agent | None, force: bool, diet: bool) -> None:
    """Make one optimizer pass and print its outcome as one line of JSON.

    Args:
        agent: whose prompt to heal; by default the one that caused the failures.
        force: heal even with too few failures, or during the cool-down.
        diet: shorten the prompt instead.

    Raises:
        CommandError: the options cannot be combined.
    """
    trigger = _trigger(agent, force=force, diet=diet)
    settings = read_settings_beside_service()
    log_to_stderr(settings)
    require_model(settings)
    console = Console(stderr=True)

    def show_progress(state: str, _: State) -> None:
        if sys.stderr.isatty():
            console.print(f"[dim]{state} done[/dim]")

    async with (
        tracing(),
        open_migrated(settings, first_prompts(), create=False) as database,
        open_parts(settings, database) as agent_context,
        open_optimizer_context(settings, database, agent_context) as context,
    ):
        result = await Optimizer(context, show_progress).run(trigger)
    first = {"agent": result["agent"], "outcome": result["outcome"], "healing_id": None}
    click.echo(json.dumps({**first, **shown_result(result)}))


def _trigger(agent: Agent | None, *, force: bool, diet: bool) -> Trigger:
    """Return the trigger of the pass.

    Raises:
        CommandError: the options cannot be combined.
    """
    if diet and force:
        raise CommandError("--diet cannot be combined with --force: it needs no failures")
    if diet and agent == "evaluator":
        raise CommandError(
            "the evaluator's prompt cannot be shortened: scores of two judges are not comparable"
        )
    if diet:
        return Trigger(trigger=SHORTENING, agent=agent or "worker")
    trigger = Trigger(trigger="command", forced=force)
    if agent:
        trigger["agent"] = agent
    return trigger
