"""`selfheal keys …`: who may call the service."""

import re
from typing import Final

import click

from selfheal.server.cli.deferred import implemented_by
from selfheal.server.cli.options import as_json

# As selfheal.db.api_keys has them, which cannot be imported here: a test compares them.
SCOPES: Final = ("runs:read", "runs:write", "prompts:write", "admin")
_MOST_DAYS: Final = 36_500


@click.group()
def keys() -> None:
    """Make, list and revoke the keys that callers of the service need."""


def _tenant(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", value):
        raise click.BadParameter("must be 1 to 64 of A-Z a-z 0-9 _ . -")
    return value


@keys.command()
@click.option("--name", default="", help="What it is for, for your own record.")
@click.option(
    "--tenant",
    callback=_tenant,
    help="Whose runs and threads it sees; `local` has those from before there were keys."
    "  [default: a tenant of its own]",
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=("runs:read", "runs:write"),
    show_default=True,
    help="What it may do; may be given several times.",
)
@click.option("--days", type=click.IntRange(1, _MOST_DAYS), help="How long it is valid.")
@as_json
@implemented_by("keys:create")
def create() -> None:
    """Make a key and print it, once: only its hash is kept."""


@keys.command("list")
@as_json
@implemented_by("keys:list_")
def list_() -> None:
    """List the keys, oldest first, without their secrets."""


@keys.command()
@click.argument("key_id", metavar="ID")
@implemented_by("keys:revoke")
def revoke() -> None:
    """Make a key invalid, at once and in every process."""
