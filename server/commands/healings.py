"""`selfheal healings …`: what the optimizer did, and why."""

from uuid import UUID

import click

from db import healings as store
from optimizer.receipt import as_markdown
from server.commands.opened import opened_database, run_async
from server.commands.shown import as_json, plain, print_json, print_table


@click.group()
def healings() -> None:
    """Read what the optimizer did, and why."""


@healings.command("list")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 500))
@as_json
@run_async
async def list_(limit: int, as_json: bool) -> None:
    """List the newest healings."""
    async with opened_database() as database, database.connection() as connection:
        rows = await store.recent(connection, limit)
    if as_json:
        print_json(rows)
        return
    print_table(
        ("healing", "opened", "agent", "outcome", "from", "to", "calls", "reason"),
        [
            (
                row.id,
                f"{row.opened_at:%m-%d %H:%M:%S}",
                row.agent,
                row.outcome or f"({row.state})",
                row.incumbent_version,
                row.to_version,
                row.calls_used,
                row.reason,
            )
            for row in rows
        ],
    )


@healings.command()
@click.argument("healing_id", type=click.UUID)
@as_json
@run_async
async def show(healing_id: UUID, as_json: bool) -> None:
    """Show a healing's receipt: as a story, or as JSON."""
    async with opened_database() as database, database.connection() as connection:
        row = await store.get(connection, healing_id)
    if as_json:
        print_json(row)
    elif row.receipt is None:
        click.echo(f"healing {row.id} is under way: {row.state}")
    else:
        click.echo(plain(as_markdown(row.receipt)))
