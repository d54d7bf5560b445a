"""`selfheal migrate`: the schema."""

import click

from db import migrate as schema
from db.pool import open_database
from graph.data import database_url
from graph.settings import read_settings
from server.commands.opened import run_async


@click.command()
@run_async
async def migrate() -> None:
    """Bring the database's schema up to this version. Safe to run again, and side by side."""
    async with database_url(read_settings()) as url, open_database(url) as database:
        applied = await schema.migrate(database)
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("the schema is up to date")
