"""`selfheal prompts …`: the operator's hand on prompts."""

import sys
from pathlib import Path
from typing import get_args

import click

from db import prompts as store
from db.prompts import Agent
from optimizer.diffs import unified_diff
from server.commands.opened import opened_database, run_async
from server.commands.shown import as_json, plain, print_json, print_table

agent_argument = click.argument("agent", type=click.Choice(get_args(Agent)))
version_number = click.IntRange(1, 2**31 - 1)
note_option = click.option("--note", default="", help="Why.")


@click.group()
def prompts() -> None:
    """See prompt versions, add one, and change what is live."""


@prompts.command("list")
@click.argument("agent", type=click.Choice(get_args(Agent)), required=False)
@as_json
@run_async
async def list_(agent: Agent | None, as_json: bool) -> None:
    """List the versions of one agent, or of all."""
    agents: tuple[Agent, ...] = (agent,) if agent else get_args(Agent)
    rows = []
    live = set()
    async with opened_database() as database, database.connection() as connection:
        for each in agents:
            rows += await store.versions(connection, each)
            live.add((each, (await store.head(connection, each)).version))
    if as_json:
        print_json(rows)
        return
    print_table(
        ("agent", "version", "live", "parent", "author", "created", "note"),
        [
            (
                row.agent,
                row.version,
                "live" if (row.agent, row.version) in live else "",
                row.parent,
                row.author,
                f"{row.created_at:%Y-%m-%d %H:%M}",
                row.note,
            )
            for row in rows
        ],
    )


@prompts.command()
@agent_argument
@click.argument("version", type=version_number, required=False)
@as_json
@run_async
async def show(agent: Agent, version: int | None, as_json: bool) -> None:
    """Show a version's text; the live one's if no version is named."""
    async with opened_database() as database, database.connection() as connection:
        if version is None:
            row = await store.released(connection, agent)
        else:
            row = await store.get(connection, agent, version)
    if as_json:
        print_json(row)
    else:
        click.echo(plain(row.text))


@prompts.command()
@agent_argument
@click.argument("older", type=version_number)
@click.argument("newer", type=version_number)
@run_async
async def diff(agent: Agent, older: int, newer: int) -> None:
    """Show what changed between two versions."""
    async with opened_database() as database, database.connection() as connection:
        left = await store.get(connection, agent, older)
        right = await store.get(connection, agent, newer)
    found = unified_diff(left.text, right.text, f"{agent} {older}", f"{agent} {newer}")
    click.echo(plain(found) or "the texts are the same")


@prompts.command()
@agent_argument
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--parent", type=version_number, help="The version that it descends from.")
@note_option
@run_async
async def add(agent: Agent, file: str, parent: int | None, note: str) -> None:
    """Store FILE (- for standard input) as a new version. It is not live until activated."""
    text = _text(file)
    async with opened_database() as database, database.connection() as connection:
        row = await store.add(connection, agent, text, author="cli", parent=parent, note=note)
    click.echo(f"{agent} version {row.version} is stored; `selfheal prompts activate` releases it")


def _text(file: str) -> str:
    """Read a prompt.

    Raises:
        click.BadParameter: it is empty or no UTF-8.
    """
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise click.BadParameter("the file is no UTF-8 text", param_hint="FILE") from error
    if not text.strip():
        raise click.BadParameter("the prompt is empty", param_hint="FILE")
    return text.strip()


@prompts.command()
@agent_argument
@click.argument("version", type=version_number)
@click.option("--pin", is_flag=True, help="Never take it back by itself; only say so.")
@note_option
@run_async
async def activate(agent: Agent, version: int, pin: bool, note: str) -> None:
    """Make a version live. The next run uses it; nothing is restarted.

    It is watched, and taken back if it does worse than the one before, unless it is pinned.
    """
    async with opened_database() as database, database.connection() as connection:
        head = await store.head(connection, agent)
        await store.release(
            connection,
            agent,
            version,
            after=head,
            action="activate",
            actor="cli",
            note=note,
            terms=store.Terms(pinned=pin),
        )
    click.echo(f"{agent}: version {version} is live (before: {head.incumbent})")


@prompts.command()
@agent_argument
@note_option
@run_async
async def rollback(agent: Agent, note: str) -> None:
    """Make the version live that was live before the present one."""
    async with opened_database() as database, database.connection() as connection:
        row = await store.rollback(connection, agent, actor="cli", note=note)
    click.echo(f"{agent}: version {row.version} is live again")
