"""API keys: tenant, scopes and validity. Of the secret only a hash is stored.

A secret has 32 random bytes, so its plain SHA-256 cannot be reversed and serves for the lookup.
"""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

from selfheal.db import queries
from selfheal.db.encoding import storable
from selfheal.db.errors import NotFoundError
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_all, fetch_one, fetch_optional, fetch_value

Scope = Literal["runs:read", "runs:write", "prompts:write", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

_SQL = queries.load("api_keys")


@dataclass(frozen=True, slots=True)
class Key:
    """An API key without its secret."""

    id: str
    tenant: str
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


async def create(
    connection: Connection,
    *,
    name: str = "",
    tenant: str | None = None,
    scopes: Collection[Scope] = ("runs:read", "runs:write"),
    days: int | None = None,
) -> tuple[Key, str]:
    """Create a key.

    Args:
        connection: to the database.
        name: a name for people.
        tenant: whose runs it gives access to; None for a new tenant.
        scopes: what the key may do.
        days: how long it is valid; None for no limit.

    Returns:
        The key and its secret, which cannot be read again.
    """
    key_id = secrets.token_hex(6)
    secret = f"sh_{key_id}_{secrets.token_urlsafe(32)}"
    values = {
        "id": key_id,
        "tenant": tenant or key_id,
        "name": storable(name),
        "sha256": _hash(secret),
        "scopes": sorted(scopes),
        "days": days,
    }
    row = await fetch_one(connection, _SQL["add"], values, Key)
    return row, secret


async def bootstrap(connection: Connection, secret: str) -> None:
    """Store a given secret as the bootstrap key, with scope `admin`, in place of the one before."""
    values = {"sha256": _hash(secret), "scopes": ["admin"]}
    await connection.execute(_SQL["bootstrap"], values)


async def find_valid(connection: Connection, secret: str) -> Key | None:
    """Return the key of a secret; None if there is none, or it is revoked or expired."""
    return await fetch_optional(connection, _SQL["find_valid"], {"sha256": _hash(secret)}, Key)


async def any_exist(connection: Connection) -> bool:
    """Return whether a key was ever created: then callers need one."""
    return bool(await fetch_value(connection, _SQL["any_exist"]))


async def any_exist_before_migration(connection: Connection) -> bool:
    """Return whether a key was ever created, also in a database without the schema."""
    row = await (await connection.execute(_SQL["has_table"])).fetchone()
    return bool(row and row["has_table"]) and await any_exist(connection)


async def list_all(connection: Connection) -> list[Key]:
    """Return all keys, oldest first."""
    return await fetch_all(connection, _SQL["all"], None, Key)


async def revoke(connection: Connection, key_id: str) -> None:
    """Revoke a key, which takes effect immediately in all processes.

    Raises:
        NotFoundError: there is no such key.
    """
    if (await connection.execute(_SQL["revoke"], {"id": storable(key_id)})).rowcount != 1:
        raise NotFoundError(f"there is no key {key_id}")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
