"""`selfheal healings list|show`: what the optimizer did, and why."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

import click

from selfheal.db import deployment_stats
from selfheal.db import healings as store
from selfheal.db.healings import Healing
from selfheal.optimizer.receipt.markdown import as_markdown
from selfheal.optimizer.receipt.schema import NoReceiptError, Receipt, receipt_of
from selfheal.optimizer.receipt.stored import read
from selfheal.optimizer.receipt.verify import Verification, verify
from selfheal.optimizer.wording import sentence, worded
from selfheal.server.cli.output import plain, print_json, print_table
from selfheal.server.commands.errors import CommandError
from selfheal.server.commands.runtime import opened_database, run_async, say_if_empty


@run_async
async def list_(limit: int, as_json: bool) -> None:
    """List the newest healings."""
    async with opened_database(reading=True) as database, database.connection() as connection:
        rows = await store.recent(connection, limit)
        last = await deployment_stats.last_pass(connection)
        await say_if_empty(rows, database)
    if as_json:
        print_json([_as_json(row) for row in rows])
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
                sentence(row.follow_ups[-1]["reason"] if row.follow_ups else row.reason),
            )
            for row in rows
        ],
    )
    if last:
        ended, why = f"{last.ended_at:%m-%d %H:%M:%S}", sentence(last.reason)
        click.echo(plain(f"\nlast optimizer pass, {ended}: {last.outcome}, {why}"))


def _as_json(row: Healing) -> dict[str, Any]:
    """Return a healing with its reasons as the API gives them: as text, and as codes."""
    steps = [{**each, **worded(each["reason"])} for each in row.follow_ups]
    return {**asdict(row), **worded(row.reason), "follow_ups": steps}


@run_async
async def show(healing_id: UUID, as_json: bool, markdown: bool, replay: bool) -> None:
    """Show a healing's receipt: as a document, as JSON, or recomputed from what is stored."""
    if markdown and (as_json or replay):
        raise CommandError("--markdown cannot be combined with --json or --replay")
    async with opened_database(reading=True) as database, database.connection() as connection:
        stored = await read(connection, healing_id)
    row = stored.healing
    if replay:
        _show_verification(verify(_receipt(row), stored), row, as_json=as_json)
    elif as_json:
        print_json(_as_json(row))
    elif row.receipt is None:
        click.echo(f"healing {row.id} is in progress: {row.state}")
    else:
        click.echo(plain(as_markdown(_receipt(row), row.follow_ups)))


def _receipt(row: Healing) -> Receipt:
    """Return a healing's receipt.

    Raises:
        CommandError: there is none, or this version cannot read it.
    """
    try:
        return receipt_of(row)
    except NoReceiptError as error:
        raise CommandError(str(error)) from error


def _show_verification(found: list[Verification], row: Healing, *, as_json: bool) -> None:
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
                click.echo(plain(f"           recorded:   {each.recorded}"))
                click.echo(plain(f"           recomputed: {each.recomputed}"))
    if wrong:
        names = ", ".join(each.what for each in wrong)
        raise CommandError(f"{len(wrong)} of {len(found)} decisions disagree: {names}", code=1)
    if not as_json:
        click.echo(f"All {len(found)} decisions of healing {row.id} agree.")
