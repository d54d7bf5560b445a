"""`selfheal prune`: deletes what is older than the retention settings."""

from selfheal.db import retention
from selfheal.server.cli.output import print_json, print_table
from selfheal.server.commands.runtime import opened_database, run_async
from selfheal.server.settings import read_settings


@run_async
async def prune(as_json: bool) -> None:
    """Delete old runs, and earlier checkpoints of idle threads and closed healings."""
    settings = read_settings()
    async with opened_database() as database:
        deleted = await retention.prune(
            database,
            runs_days=settings.retention_days,
            states_days=settings.state_retention_days,
        )
    if as_json:
        print_json(deleted)
    else:
        print_table(("deleted", "count"), list(deleted.items()))
