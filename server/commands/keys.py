"""`selfheal keys …`: API keys of the service."""

from datetime import UTC, datetime

import click

from selfheal.db import api_keys as store
from selfheal.db.api_keys import Key, Scope
from selfheal.server.commands.output import plain, print_json, print_table
from selfheal.server.commands.runtime import opened_database, run_async, say_if_empty


@run_async
async def create(
    name: str, tenant: str | None, scopes: tuple[Scope, ...], days: int | None, as_json: bool
) -> None:
    """Create a key and print it once; only its hash is stored.

    Args:
        name: a description for the operator's records.
        tenant: whose runs and threads it can access; a new tenant if None.
        scopes: what it permits.
        days: until it expires; never if None.
        as_json: print the key's row with its secret as JSON.
    """
    async with opened_database(create=True) as database, database.connection() as connection:
        key, secret = await store.create(
            connection, name=name, tenant=tenant, scopes=set(scopes), days=days
        )
        everyone = await store.list_all(connection)
    if as_json:
        print_json({**_shown(key), "secret": secret})
    else:
        click.echo(secret)
        _note(f"key {key.id} of tenant {key.tenant}: {' '.join(key.scopes)}")
        _note("store it now: it cannot be shown again")
    if not any(_state(row) == "valid" and "admin" in row.scopes for row in everyone):
        _note("no key has the scope admin: create one with `selfheal keys create --scope admin`")


@run_async
async def list_(as_json: bool) -> None:
    """List keys, oldest first, without their secrets."""
    async with opened_database(reading=True) as database, database.connection() as connection:
        rows = await store.list_all(connection)
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


@run_async
async def revoke(key_id: str) -> None:
    """Revoke a key, effective immediately in every process."""
    async with opened_database() as database, database.connection() as connection:
        await store.revoke(connection, key_id)
    click.echo(f"key {plain(key_id)} was revoked")


def _shown(key: Key) -> dict[str, object]:
    return {**{name: getattr(key, name) for name in Key.__slots__}, "state": _state(key)}


def _state(key: Key) -> str:
    if key.revoked_at:
        return "revoked"
    return "expired" if key.expires_at and key.expires_at <= datetime.now(UTC) else "valid"


def _note(message: str) -> None:
    """Print a note on standard error: standard output has the secret alone, for programs."""
    click.echo(f"selfheal: {message}", err=True)
