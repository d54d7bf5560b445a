"""`selfheal prune`: forget what is older than the settings say."""

import click

from db import pruning
from graph.settings import read_settings
from server.commands.opened import opened_database, run_async
from server.commands.shown import as_json, print_json, print_table


@click.command()
@as_json
@run_async
async def prune(as_json: bool) -> None:
    """Forget old runs, and earlier states of quiet threads and closed healings.

    The service does so every hour. SELFHEAL_RETENTION_DAYS (90) is for runs,
    SELFHEAL_STATE_RETENTION_DAYS (7) for states, streamed events and webhooks; 0 keeps for ever.
    Prompts, releases, receipts, and runs that people marked stay.
    """
    settings = read_settings()
    async with opened_database() as database:
        found = await pruning.prune(
            database,
            runs_days=settings.retention_days,
            states_days=settings.state_retention_days,
        )
    if as_json:
        print_json(found)
    else:
        print_table(("forgotten", "count"), list(found.items()))
