"""`selfheal healings approve|reject|pause|resume`: a person's word."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from uuid import UUID

import click

from selfheal.db import version_stats
from selfheal.db.reasons import because
from selfheal.graph.settings import read_settings
from selfheal.optimizer.rollout import approval
from selfheal.optimizer.rollout.approval import NothingToDecideError
from selfheal.server.commands.errors import Refused
from selfheal.server.commands.runtime import opened_database, run_async


@run_async
async def approve(healing_id: UUID, at_once: bool, note: str) -> None:
    """Release a staged candidate: as a canary, unless SELFHEAL_ROLLOUT says otherwise."""
    percent = approval.share(read_settings(), at_once=at_once)
    decide = partial(
        approval.approve, healing_id=healing_id, percent=percent, actor="cli", note=note
    )
    async with opened_database() as database:
        with _decided():
            row = await database.run(decide)
    click.echo(f"{row.agent}: version {row.version} goes to {row.percent} % of the threads")


@run_async
async def reject(healing_id: UUID) -> None:
    """Refuse a staged candidate. Its version stays in the list and is not live."""
    async with opened_database() as database:
        with _decided():
            healing = await database.run(
                lambda each: approval.reject(each, healing_id, actor="cli")
            )
    click.echo(f"{healing.agent}: version {healing.to_version} is refused")


@run_async
async def pause(reason: str) -> None:
    """Put healing on hold. Releases are watched on, and taken back where they do harm."""
    async with opened_database() as database, database.connection() as connection:
        cause = because("note", text=reason)
        await version_stats.pause(connection, paused=True, reason=cause, actor="cli")
    click.echo("healing is on hold; `selfheal healings resume` lets it go on")


@run_async
async def resume(reason: str) -> None:
    """Let healing go on."""
    async with opened_database() as database, database.connection() as connection:
        cause = because("note", text=reason)
        await version_stats.pause(connection, paused=False, reason=cause, actor="cli")
    click.echo("healing goes on")


@contextmanager
def _decided() -> Iterator[None]:
    """Turn what cannot be decided into one line.

    Raises:
        Refused: there is nothing to decide.
    """
    try:
        yield
    except NothingToDecideError as error:
        raise Refused(str(error)) from error
