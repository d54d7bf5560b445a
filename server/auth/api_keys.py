"""Who calls, and what they may."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, cast

from fastapi import Request, Security
from fastapi.security import (
    APIKeyHeader,
    HTTPAuthorizationCredentials,
    HTTPBearer,
)

from selfheal.db import api_keys
from selfheal.db.api_keys import SCOPES, Scope
from selfheal.db.pool import Database
from selfheal.server.auth.loopback import refuse_strangers

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
        key = await api_keys.valid(connection, secret) if secret else None
        if key is None and await api_keys.some(connection):
            raise NotAuthenticatedError(
                "this key is not valid" if secret else "a key is needed: send it as x-api-key"
            )
    if key is None:
        return LOCAL
    return Caller(key.tenant, frozenset(key.scopes), key.id)


HEADER: Final = APIKeyHeader(
    name="x-api-key", auto_error=False, description="A key of `selfheal keys create`"
)
BEARER: Final = HTTPBearer(auto_error=False, description="The same key as a bearer's")


class Admission:
    """A dependency that lets a caller in before anything of its request's body is read.

    `StrictRoute` calls `admit` first; when FastAPI resolves the dependency, after it has read the
    body, it only hands out what was found. On another kind of route it fails, and lets nobody in.

    Args:
        check: decides on a request, given the key that it carries (None if it carries none) and
            the scopes that the route needs; what it returns is the dependency's value.
    """

    def __init__(
        self, check: Callable[[Request, str | None, Sequence[str]], Awaitable[Any]]
    ) -> None:
        self._check = check

    async def admit(self, request: Request, scopes: Sequence[str]) -> None:
        """Let the caller of a request in.

        Raises:
            NotAuthenticatedError: no key was given where one is needed, or none that is valid.
            NotAllowedError: the key lacks a scope.
            TooManyRequestsError: the key was used too often.
            WrongHostError, CrossSiteError: there are no keys, and it comes from elsewhere.
        """
        bearer = await BEARER(request)
        secret = await HEADER(request) or (bearer.credentials if bearer else None)
        request.state.admitted = await self._check(request, secret, scopes)

    async def __call__(
        self,
        request: Request,
        key: Annotated[str | None, Security(HEADER)],
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)],
    ) -> Any:
        """Return what was found when the request was let in."""
        return request.state.admitted


async def _caller(request: Request, secret: str | None, scopes: Sequence[str]) -> Caller:
    """Return who calls, if they may call this now."""
    state = request.app.state
    found = await identify(state.service.database, secret)
    if found.key_id is None:
        refuse_strangers(request, state.service.settings.cors_origins)
    else:
        await state.rates.count(found.key_id)
    for scope in scopes:
        found.require(cast("Scope", scope))
    return found


_CALLER: Final = Admission(_caller)
READER: Final = Security(_CALLER, scopes=["runs:read"])
WRITER: Final = Security(_CALLER, scopes=["runs:write"])
AUTHOR: Final = Security(_CALLER, scopes=["prompts:write"])
ADMIN: Final = Security(_CALLER, scopes=["admin"])
Reader = Annotated[Caller, READER]
Writer = Annotated[Caller, WRITER]
Author = Annotated[Caller, AUTHOR]
Admin = Annotated[Caller, ADMIN]
