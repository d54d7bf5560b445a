"""`selfheal keys …`: who may call the service."""

import re
from datetime import UTC, datetime

import click

from db import keys as store
from db.keys import SCOPES, Key, Scope
from server.commands.opened import opened_database, run_async, say_if_empty
from server.commands.shown import as_json, plain, print_json, print_table

_MOST_DAYS = 36_500


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
@run_async
async def create(
    name: str, tenant: str | None, scopes: tuple[Scope, ...], days: int | None, as_json: bool
) -> None:
    """Make a key and print it, once: only its hash is kept."""
    async with opened_database(create=True) as database, database.connection() as connection:
        key, secret = await store.create(
            connection, name=name, tenant=tenant, scopes=set(scopes), days=days
        )
        everyone = await store.everyone(connection)
    if as_json:
        print_json({**_shown(key), "secret": secret})
    else:
        click.echo(secret)
        _say(f"key {key.id} of tenant {key.tenant}: {' '.join(key.scopes)}")
        _say("keep it now: it cannot be shown again")
    if not any(_state(each) == "valid" and "admin" in each.scopes for each in everyone):
        _say("no key has the scope admin: make one with `selfheal keys create --scope admin`")


@keys.command("list")
@as_json
@run_async
async def list_(as_json: bool) -> None:
    """List the keys, oldest first, without their secrets."""
    async with opened_database(reading=True) as database, database.connection() as connection:
        rows = await store.everyone(connection)
        await say_if_empty(rows, database)
    if as_json:
        print_json([_shown(row) for row in rows])
        return
    print_table(
        ("key", "tenant", "state", "scopes", "created", "expires", "name"),
        [
            (
                row.id,
                row.tenant,
                _state(row),
                " ".join(row.scopes),
                f"{row.created_at:%Y-%m-%d %H:%M}",
                f"{row.expires_at:%Y-%m-%d %H:%M}" if row.expires_at else None,
                row.name,
            )
            for row in rows
        ],
    )


@keys.command()
@click.argument("key_id", metavar="ID")
@run_async
async def revoke(key_id: str) -> None:
    """Make a key invalid, at once and in every process."""
    async with opened_database() as database, database.connection() as connection:
        await store.revoke(connection, key_id)
    click.echo(f"key {plain(key_id)} is revoked")


def _shown(key: Key) -> dict[str, object]:
    return {**{name: getattr(key, name) for name in Key.__slots__}, "state": _state(key)}


def _state(key: Key) -> str:
    if key.revoked_at:
        return "revoked"
    return "expired" if key.expires_at and key.expires_at <= datetime.now(UTC) else "valid"


def _say(words: str) -> None:
    """Tell a person; what a program reads is the secret alone."""
    click.echo(f"selfheal: {words}", err=True)
