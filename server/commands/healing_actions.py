"""`selfheal healings approve|reject|pause|resume`: manual decisions."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from uuid import UUID

import click

from selfheal.db import pauses
from selfheal.db.reasons import because
from selfheal.optimizer.rollout import approval
from selfheal.optimizer.rollout.approval import NothingToDecideError
from selfheal.server.commands.errors import CommandError
from selfheal.server.commands.runtime import opened_database, run_async
from selfheal.server.settings import read_settings


@run_async
async def approve(healing_id: UUID, at_once: bool, note: str) -> None:
    """Release a candidate that waits for approval, as a canary if SELFHEAL_ROLLOUT is `canary`.

    A canary that is held is promoted to all threads.

    Args:
        healing_id: the healing whose candidate waits.
        at_once: to all threads, without a canary.
        note: recorded with the release.

    Raises:
        CommandError: no candidate of this healing awaits approval.
    """
    percent = approval.share(read_settings(), at_once=at_once)
    decide = partial(
        approval.approve, healing_id=healing_id, percent=percent, actor="cli", note=note
    )
    async with opened_database() as database:
        with _decided():
            row = await database.run(decide)
    click.echo(f"{row.agent}: version {row.version} released to {row.percent} % of the threads")


@run_async
async def reject(healing_id: UUID) -> None:
    """Reject a candidate that waits for approval, or a canary that is held.

    Its version is kept but not live.

    Raises:
        CommandError: no candidate of this healing awaits approval.
    """
    async with opened_database() as database:
        with _decided():
            healing = await database.run(
                lambda connection: approval.reject(connection, healing_id, actor="cli")
            )
    click.echo(f"{healing.agent}: version {healing.to_version} rejected")


@run_async
async def pause(reason: str) -> None:
    """Pause healing. Canary and watch continue, including automatic rollback."""
    async with opened_database() as database, database.connection() as connection:
        cause = because("note", text=reason)
        await pauses.switch(connection, paused=True, reason=cause, actor="cli")
    click.echo("healing is paused; `selfheal healings resume` resumes it")


@run_async
async def resume(reason: str) -> None:
    """Resume healing."""
    async with opened_database() as database, database.connection() as connection:
        cause = because("note", text=reason)
        await pauses.switch(connection, paused=False, reason=cause, actor="cli")
    click.echo("healing is resumed")


@contextmanager
def _decided() -> Iterator[None]:
    """Turn a decision that is not possible into one line.

    Raises:
        CommandError: no candidate awaits approval.
    """
    try:
        yield
    except NothingToDecideError as error:
        raise CommandError(str(error)) from error
