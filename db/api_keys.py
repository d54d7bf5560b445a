"""Keys: who may call, as which tenant, and what for. Of the key itself only a hash is kept.

A key is 32 random bytes, so that its hash can be looked up and its plain SHA-256 not be reversed.
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
    """A key, without its secret."""

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
    """Make a key; return it with the secret, which nobody can show again.

    Args:
        tenant: whose runs it sees; by default a tenant of its own.
        days: how long it is valid; None for until it is revoked.
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
    """Make a secret from outside the admin's key, in the place of the one before."""
    values = {"sha256": _hash(secret), "scopes": ["admin"]}
    await connection.execute(_SQL["bootstrap"], values)


async def valid(connection: Connection, secret: str) -> Key | None:
    """Return the key of a secret, if it is valid now."""
    return await fetch_optional(connection, _SQL["valid"], {"sha256": _hash(secret)}, Key)


async def some(connection: Connection) -> bool:
    """Tell whether there ever was a key: then callers need one."""
    return bool(await fetch_value(connection, _SQL["some"]))


async def some_before_schema(connection: Connection) -> bool:
    """Tell whether there ever was a key, also where the schema is not there yet."""
    return bool(await fetch_value(connection, _SQL["has_table"])) and await some(connection)


async def everyone(connection: Connection) -> list[Key]:
    """Return all keys, oldest first."""
    return await fetch_all(connection, _SQL["all"], None, Key)


async def revoke(connection: Connection, key_id: str) -> None:
    """Make a key invalid, at once and everywhere.

    Raises:
        NotFoundError: there is no such key.
    """
    if (await connection.execute(_SQL["revoke"], {"id": storable(key_id)})).rowcount != 1:
        raise NotFoundError(f"there is no key {key_id}")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
