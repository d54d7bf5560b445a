"""`selfheal prompts …`: prompt versions and releases."""

import click

from selfheal.server.cli.deferred import implemented_by
from selfheal.server.cli.options import AGENTS, agent, as_json, note

_VERSION = click.IntRange(1, 2**31 - 1)


@click.group()
def prompts() -> None:
    """List, add, release and roll back prompt versions."""


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
    """Show the text of a version, by default of the live one."""


@prompts.command()
@agent
@click.argument("older", type=_VERSION)
@click.argument("newer", type=_VERSION)
@implemented_by("prompts:diff")
def diff() -> None:
    """Show the differences between two versions."""


@prompts.command()
@agent
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--parent", type=_VERSION, help="The version that it was derived from.")
@note
@implemented_by("prompts:add")
def add() -> None:
    """Store FILE (`-`: standard input) as a new version, without releasing it."""


@prompts.command()
@agent
@click.argument("version", type=_VERSION)
@click.option("--pin", is_flag=True, help="Never roll it back automatically; only log it.")
@note
@implemented_by("prompts:activate")
def activate() -> None:
    """Release a version to all threads. The next run uses it, without a restart.

    It is watched, and rolled back automatically if it performs worse than the one before, unless
    it is pinned.
    """


@prompts.command()
@agent
@note
@implemented_by("prompts:rollback")
def rollback() -> None:
    """Release the version that was live before the current one."""
