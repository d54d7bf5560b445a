"""`selfheal healings approve|reject|pause|resume`: a person's word."""

from uuid import UUID

import click

from db import arms, healings, prompts
from db.healings import Healing
from db.pool import Connection
from db.prompts import Terms
from graph.settings import read_settings
from server.commands.failures import Refused
from server.commands.opened import opened_database, run_async
from server.commands.prompts import note_option

_STAGED = "needs_approval"


@click.command()
@click.argument("healing_id", type=click.UUID)
@click.option("--at-once", is_flag=True, help="To all threads, without a canary.")
@note_option
@run_async
async def approve(healing_id: UUID, at_once: bool, note: str) -> None:
    """Release a staged candidate: as a canary, unless SELFHEAL_ROLLOUT says otherwise."""
    settings = read_settings()
    share = settings.canary_percent if settings.rollout == "canary" and not at_once else 100
    async with opened_database() as database, database.transaction() as connection:
        healing = await _staged(connection, healing_id)
        version = healing.to_version
        assert version is not None  # noqa: S101 - see _staged
        head = await prompts.head(connection, healing.agent)
        if head.version != healing.incumbent_version:
            raise Refused(
                f"the {healing.agent}'s version {head.version} went live since: the proof against"
                f" version {healing.incumbent_version} is void"
            )
        if healing.agent == "evaluator":
            share = 100  # scores of two judges do not compare
        await prompts.release(
            connection,
            healing.agent,
            version,
            after=head,
            action="canary" if share < 100 else "heal",
            actor="cli",
            note=note,
            terms=Terms(share, healing.id),
        )
        outcome: healings.Outcome = "canary" if share < 100 else "promoted"
        await healings.follow_up(connection, healing.id, outcome, "approved by a person")
    click.echo(f"{healing.agent}: version {version} goes to {share} % of the threads")


@click.command()
@click.argument("healing_id", type=click.UUID)
@run_async
async def reject(healing_id: UUID) -> None:
    """Refuse a staged candidate. Its version stays in the list and is not live."""
    async with opened_database() as database, database.transaction() as connection:
        healing = await _staged(connection, healing_id)
        await healings.follow_up(connection, healing.id, "rejected", "refused by a person")
    click.echo(f"{healing.agent}: version {healing.to_version} is refused")


@click.command()
@click.option("--reason", default="a person's word", show_default=True)
@run_async
async def pause(reason: str) -> None:
    """Put healing on hold. Releases are watched on, and taken back where they do harm."""
    async with opened_database() as database, database.connection() as connection:
        await arms.pause(connection, paused=True, reason=reason, actor="cli")
    click.echo("healing is on hold; `selfheal healings resume` lets it go on")


@click.command()
@click.option("--reason", default="a person's word", show_default=True)
@run_async
async def resume(reason: str) -> None:
    """Let healing go on."""
    async with opened_database() as database, database.connection() as connection:
        await arms.pause(connection, paused=False, reason=reason, actor="cli")
    click.echo("healing goes on")


async def _staged(connection: Connection, healing_id: UUID) -> Healing:
    """Return a healing whose candidate waits for a person.

    Raises:
        Refused: it does not.
        NotFoundError: there is no such healing.
    """
    healing = await healings.get(connection, healing_id)
    if healing.outcome != _STAGED or healing.to_version is None:
        raise Refused(f"healing {healing_id} has nothing to decide: {healing.outcome or 'open'}")
    return healing
