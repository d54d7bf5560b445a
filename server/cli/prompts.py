"""`selfheal prompts …`: the operator's hand on prompts."""

import click

from selfheal.server.cli.deferred import implemented_by
from selfheal.server.cli.options import AGENTS, agent, as_json, note

_VERSION = click.IntRange(1, 2**31 - 1)


@click.group()
def prompts() -> None:
    """See prompt versions, add one, and change what is live."""


@prompts.command("list")
@click.argument("agent", type=click.Choice(AGENTS), required=False)
@as_json
@implemented_by("prompts:list_")
def list_() -> None:
    """List the versions of one agent, or of all."""


@prompts.command()
@agent
@click.argument("version", type=_VERSION, required=False)
@as_json
@implemented_by("prompts:show")
def show() -> None:
    """Show a version's text; the live one's if no version is named."""


@prompts.command()
@agent
@click.argument("older", type=_VERSION)
@click.argument("newer", type=_VERSION)
@implemented_by("prompts:diff")
def diff() -> None:
    """Show what changed between two versions."""


@prompts.command()
@agent
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--parent", type=_VERSION, help="The version that it descends from.")
@note
@implemented_by("prompts:add")
def add() -> None:
    """Store FILE (- for standard input) as a new version. It is not live until activated."""


@prompts.command()
@agent
@click.argument("version", type=_VERSION)
@click.option("--pin", is_flag=True, help="Never take it back by itself; only say so.")
@note
@implemented_by("prompts:activate")
def activate() -> None:
    """Make a version live. The next run uses it; nothing is restarted.

    It is watched, and taken back if it does worse than the one before, unless it is pinned.
    """


@prompts.command()
@agent
@note
@implemented_by("prompts:rollback")
def rollback() -> None:
    """Make the version live that was live before the present one."""
