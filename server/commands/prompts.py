"""`selfheal prompts …`: prompt versions and releases."""

import sys
from pathlib import Path
from typing import get_args

import click

from selfheal.db import prompts as store
from selfheal.db.types import Agent
from selfheal.optimizer.text.diffs import unified_diff
from selfheal.server.cli.output import plain, print_json, print_table
from selfheal.server.commands.runtime import opened_database, run_async


@run_async
async def list_(agent: Agent | None, as_json: bool) -> None:
    """List the versions of one agent, or of all."""
    agents: tuple[Agent, ...] = (agent,) if agent else get_args(Agent)
    rows = []
    live = set()
    async with opened_database(reading=True) as database, database.connection() as connection:
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


@run_async
async def show(agent: Agent, version: int | None, as_json: bool) -> None:
    """Show the text of a version, by default of the live one."""
    async with opened_database(reading=True) as database, database.connection() as connection:
        if version is None:
            row = await store.released(connection, agent)
        else:
            row = await store.get(connection, agent, version)
    if as_json:
        print_json(row)
    else:
        click.echo(plain(row.text))


@run_async
async def diff(agent: Agent, older: int, newer: int) -> None:
    """Show the differences between two versions."""
    async with opened_database(reading=True) as database, database.connection() as connection:
        left = await store.get(connection, agent, older)
        right = await store.get(connection, agent, newer)
    differences = unified_diff(left.text, right.text, f"{agent} {older}", f"{agent} {newer}")
    click.echo(plain(differences) or "the texts are identical")


@run_async
async def add(agent: Agent, file: str, parent: int | None, note: str) -> None:
    """Store a file (`-`: standard input) as a new version, without releasing it."""
    text = _text(file)
    async with opened_database() as database, database.connection() as connection:
        row = await store.add(connection, agent, text, author="cli", parent=parent, note=note)
    click.echo(f"{agent}: version {row.version} stored; `selfheal prompts activate` releases it")


def _text(file: str) -> str:
    """Read a prompt from a file, or from standard input for `-`.

    Raises:
        click.BadParameter: it is empty or not UTF-8.
    """
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise click.BadParameter("the file is not UTF-8 text", param_hint="FILE") from error
    if not text.strip():
        raise click.BadParameter("the prompt is empty", param_hint="FILE")
    return text.strip()


@run_async
async def activate(agent: Agent, version: int, pin: bool, note: str) -> None:
    """Release a version to all threads. The next run uses it, without a restart."""
    async with opened_database() as database, database.connection() as connection:
        head = await store.head(connection, agent)
        row = await store.release(
            connection,
            agent,
            version,
            after=head,
            action="activate",
            actor="cli",
            note=note,
            terms=store.Terms(pinned=pin),
        )
    if row.id == head.id:
        click.echo(f"{agent}: version {version} is already live; nothing was changed")
    else:
        click.echo(f"{agent}: version {version} is live (previously {head.incumbent})")


@run_async
async def rollback(agent: Agent, note: str) -> None:
    """Release the version that the current one replaced."""
    async with opened_database() as database, database.connection() as connection:
        row = await store.rollback(connection, agent, actor="cli", note=note)
    click.echo(f"{agent}: version {row.version} is live again")
