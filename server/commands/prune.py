"""`selfheal prune`: forget what is older than the settings say."""

from selfheal.db import retention
from selfheal.server.commands.output import print_json, print_table
from selfheal.server.commands.runtime import opened_database, run_async
from selfheal.server.settings import read_settings


@run_async
async def prune(as_json: bool) -> None:
    """Forget old runs, and earlier states of quiet threads and closed healings."""
    settings = read_settings()
    async with opened_database() as database:
        found = await retention.prune(
            database,
            runs_days=settings.retention_days,
            states_days=settings.state_retention_days,
        )
    if as_json:
        print_json(found)
    else:
        print_table(("forgotten", "count"), list(found.items()))
