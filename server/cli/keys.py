"""`selfheal keys …`: API keys of the service."""

import re
from typing import Final

import click

from selfheal.server.cli.deferred import implemented_by
from selfheal.server.cli.options import as_json

# A copy of those in selfheal.db.api_keys, which is too slow to import here: a test compares them.
SCOPES: Final = ("runs:read", "runs:write", "prompts:write", "admin")
_MOST_DAYS: Final = 36_500


@click.group()
def keys() -> None:
    """Create, list and revoke the API keys of the service."""


def _tenant(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", value):
        raise click.BadParameter("must be 1 to 64 of A-Z a-z 0-9 _ . -")
    return value


@keys.command()
@click.option("--name", default="", help="A description for your own records.")
@click.option(
    "--tenant",
    callback=_tenant,
    help="The tenant whose runs and threads it can access; `local` owns those from before the"
    " first key.  [default: a new tenant]",
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=("runs:read", "runs:write"),
    show_default=True,
    help="What the key permits; can be repeated.",
)
@click.option("--days", type=click.IntRange(1, _MOST_DAYS), help="Days until it expires.")
@as_json
@implemented_by("keys:create")
def create() -> None:
    """Create a key and print it once; only its hash is stored."""


@keys.command("list")
@as_json
@implemented_by("keys:list_")
def list_() -> None:
    """List keys, oldest first, without their secrets."""


@keys.command()
@click.argument("key_id", metavar="ID")
@implemented_by("keys:revoke")
def revoke() -> None:
    """Revoke a key, effective immediately in every process."""
