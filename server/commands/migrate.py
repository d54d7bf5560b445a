"""`selfheal migrate`: migrates the database's schema."""

from contextlib import AsyncExitStack

import click

from selfheal.db import migrate as schema
from selfheal.db.bootstrap import database_url, naming_direct_setting
from selfheal.db.pool import open_database
from selfheal.server.commands.runtime import run_async
from selfheal.server.settings import read_settings


@run_async
async def migrate() -> None:
    """Migrate the database's schema to this version. Safe to repeat and to run concurrently."""
    settings = read_settings()
    direct = settings.direct_database_url  # the migration lock belongs to a session
    async with AsyncExitStack() as stack:
        url = (
            direct.get_secret_value()
            if direct
            else await stack.enter_async_context(database_url(settings))
        )
        with naming_direct_setting(settings):
            database = await stack.enter_async_context(open_database(url))
        migrated = await schema.migrate(database)
    for name in migrated.applied:
        click.echo(f"applied {name}")
    if migrated.newer:
        click.echo(f"the schema is of a later version of selfheal: {migrated.newer}")
    elif not migrated.applied:
        click.echo("the schema is up to date")
