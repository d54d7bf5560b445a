"""`selfheal healings …`: what the optimizer did and why, and decisions on it."""

import click

from selfheal.server.cli.deferred import implemented_by
from selfheal.server.cli.options import as_json, healing_id, limit, note


@click.group()
def healings() -> None:
    """Read what the optimizer did and why, and say your word on it."""


@healings.command("list")
@limit
@as_json
@implemented_by("healings:list_")
def list_() -> None:
    """List the newest healings."""


@healings.command()
@healing_id
@as_json
@click.option("--markdown", is_flag=True, help="Print the story in Markdown, as without options.")
@click.option(
    "--replay", is_flag=True, help="Make every decision again; exit with 1 where one disagrees."
)
@implemented_by("healings:show")
def show() -> None:
    """Show a healing's receipt: as a story, as JSON, or made again from what is stored."""


@healings.command()
@healing_id
@click.option("--at-once", is_flag=True, help="To all threads, without a canary.")
@note
@implemented_by("healing_actions:approve")
def approve() -> None:
    """Release a staged candidate: as a canary, unless SELFHEAL_ROLLOUT says otherwise."""


@healings.command()
@healing_id
@implemented_by("healing_actions:reject")
def reject() -> None:
    """Refuse a staged candidate. Its version stays in the list and is not live."""


@healings.command()
@click.option("--reason", default="a person's word", show_default=True)
@implemented_by("healing_actions:pause")
def pause() -> None:
    """Put healing on hold. Releases are watched on, and taken back where they do harm."""


@healings.command()
@click.option("--reason", default="a person's word", show_default=True)
@implemented_by("healing_actions:resume")
def resume() -> None:
    """Let healing go on."""
