"""`selfheal healings …`: what the optimizer did, and why."""

from uuid import UUID

import click

from selfheal.db import deployment_stats
from selfheal.db import healings as store
from selfheal.db.healings import Healing
from selfheal.optimizer.receipt.markdown import as_markdown
from selfheal.optimizer.receipt.stored import read
from selfheal.optimizer.receipt.verify import Recomputed, recompute
from selfheal.server.commands.errors import CommandError
from selfheal.server.commands.output import plain, print_json, print_table
from selfheal.server.commands.runtime import opened_database, run_async, say_if_empty


@run_async
async def list_(limit: int, as_json: bool) -> None:
    """List the newest healings."""
    async with opened_database(reading=True) as database, database.connection() as connection:
        rows = await store.recent(connection, limit)
        last = await deployment_stats.last_pass(connection)
        await say_if_empty(rows, database)
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
                row.follow_ups[-1]["reason"] if row.follow_ups else row.reason,
            )
            for row in rows
        ],
    )
    if last:
        click.echo(
            plain(f"\nlast pass, {last.ended_at:%m-%d %H:%M:%S}: {last.outcome}, {last.reason}")
        )


@run_async
async def show(healing_id: UUID, as_json: bool, markdown: bool, replay: bool) -> None:
    """Show a healing's receipt: as a story, as JSON, or made again from what is stored."""
    if markdown and (as_json or replay):
        raise CommandError("--markdown goes neither with --json nor with --replay")
    async with opened_database(reading=True) as database, database.connection() as connection:
        stored = await read(connection, healing_id)
    row = stored.healing
    if replay:
        _replay(recompute(_whole(row), stored), row, as_json=as_json)
    elif as_json:
        print_json(row)
    elif row.receipt is None:
        click.echo(f"healing {row.id} is under way: {row.state}")
    else:
        click.echo(plain(as_markdown(row.receipt, row.follow_ups)))


def _whole(row: Healing) -> dict[str, object]:
    """Return a receipt that can be replayed.

    Raises:
        CommandError: there is none, or it is older than that.
    """
    if row.receipt is None:
        raise CommandError(f"healing {row.id} is under way: {row.state}")
    if "selfheal" not in row.receipt:
        raise CommandError(
            f"the receipt of healing {row.id} is older than replays; read it without"
        )
    return row.receipt


def _replay(found: list[Recomputed], row: Healing, *, as_json: bool) -> None:
    """Print what the decisions come to.

    Raises:
        CommandError: some disagree, with exit code 1.
    """
    wrong = [each for each in found if not each.agrees]
    if as_json:
        print_json([each.as_json() for each in found])
    else:
        for each in found:
            click.echo(plain(f"{'agrees   ' if each.agrees else 'DISAGREES'}  {each.what}"))
            if not each.agrees:
                click.echo(plain(f"           on record: {each.stored}"))
                click.echo(plain(f"           now:       {each.now}"))
    if wrong:
        names = ", ".join(each.what for each in wrong)
        raise CommandError(f"{len(wrong)} of {len(found)} decisions disagree: {names}", code=1)
    if not as_json:
        click.echo(f"All {len(found)} decisions of healing {row.id} agree.")
