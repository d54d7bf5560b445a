"""Who calls, and what they may."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request

from db import keys
from db.keys import SCOPES, Scope
from db.pool import Database

_LOCAL: Final = "local"


class NotAuthenticatedError(Exception):
    """No key was given, or none that is valid."""


class NotAllowedError(Exception):
    """The key is valid, but not for this."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: a tenant, and the scopes of the key."""

    tenant: str
    scopes: frozenset[Scope]
    key_id: str | None = None

    @property
    def actor(self) -> str:
        """What a release's log says of who made it."""
        return f"key {self.key_id}" if self.key_id else "api"

    def require(self, scope: Scope) -> None:
        """Let pass who has a scope; `admin` has all.

        Raises:
            NotAllowedError: the key does not have it.
        """
        if not {scope, "admin"} & self.scopes:
            raise NotAllowedError(f"this key lacks the scope {scope}")


LOCAL: Final = Caller(_LOCAL, frozenset(SCOPES))


async def identify(database: Database, secret: str | None) -> Caller:
    """Return who calls. Asked of the database each time: a revoked key is dead everywhere at once.

    As long as no key was ever made the service is bound to loopback, and whoever reaches it may
    do everything.

    Raises:
        NotAuthenticatedError: no key was given where one is needed, or none that is valid.
        DatabaseError: Postgres cannot be reached.
    """
    async with database.connection() as connection:
        key = await keys.valid(connection, secret) if secret else None
        if key is None and await keys.some(connection):
            raise NotAuthenticatedError(
                "this key is not valid" if secret else "a key is needed: send it as x-api-key"
            )
    if key is None:
        return LOCAL
    return Caller(key.tenant, frozenset(key.scopes), key.id)


def secret_of(request: Request) -> str | None:
    """Return the key that a request carries, as `x-api-key` or as a bearer's."""
    if given := request.headers.get("x-api-key"):
        return given
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _may(scope: Scope) -> Callable[[Request], Awaitable[Caller]]:
    async def caller(request: Request) -> Caller:
        found = await identify(request.app.state.service.database, secret_of(request))
        found.require(scope)
        return found

    return caller


READER: Final = Depends(_may("runs:read"))
AUTHOR: Final = Depends(_may("prompts:write"))
ADMIN: Final = Depends(_may("admin"))
Reader = Annotated[Caller, READER]
Writer = Annotated[Caller, Depends(_may("runs:write"))]
Author = Annotated[Caller, AUTHOR]
