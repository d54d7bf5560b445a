"""Admission of callers: by API key, by the roles' key, or as programs of this machine.

Without any key the socket is bound to loopback alone, but a page that a browser on this machine
shows can still send requests there. It cannot choose the browser's `Host` and `Origin` headers.
"""

import hmac
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, cast
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response, Security
from fastapi.security import (
    APIKeyHeader,
    HTTPAuthorizationCredentials,
    HTTPBearer,
)
from pydantic import SecretStr

from selfheal.app.llm.usage import Usage
from selfheal.db import api_keys
from selfheal.db.api_keys import SCOPES, Scope
from selfheal.db.pool import Database
from selfheal.graph.remote import CALLS, INPUT_TOKENS, MODEL, OUTPUT_TOKENS
from selfheal.server.http.binding import is_loopback

_LOCAL: Final = "local"
_SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")


class NotAuthenticatedError(Exception):
    """The request has no key, or no valid one."""


class NotAllowedError(Exception):
    """The key is valid, but its scopes do not allow this."""


class WrongHostError(Exception):
    """The `Host` is not this machine: another name was rebound to its address."""


class CrossSiteError(Exception):
    """The request was sent by a page of another site."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The tenant that calls, and the scopes of its key. `key_id` is None without keys."""

    tenant: str
    scopes: frozenset[Scope]
    key_id: str | None = None

    @property
    def actor(self) -> str:
        """The caller's name in the release log."""
        return f"key {self.key_id}" if self.key_id else "api"

    def require(self, scope: Scope) -> None:
        """Check that the key has a scope; `admin` includes all.

        Raises:
            NotAllowedError: it does not.
        """
        if not {scope, "admin"} & self.scopes:
            raise NotAllowedError(f"this key lacks the scope {scope}")


LOCAL: Final = Caller(_LOCAL, frozenset(SCOPES))


async def identify(database: Database, secret: str | None) -> Caller:
    """Return the caller. Looked up on every request, so revocation takes effect immediately.

    As long as no key was ever created the service is bound to loopback, and a caller has all
    scopes.

    Raises:
        NotAuthenticatedError: a key is needed, and there is none or no valid one.
        DatabaseError: Postgres cannot be reached.
    """
    async with database.connection() as connection:
        key = await api_keys.find_valid(connection, secret) if secret else None
        if key is None and await api_keys.any_exist(connection):
            raise NotAuthenticatedError(
                "this key is not valid" if secret else "a key is needed: send it as x-api-key"
            )
    if key is None:
        return LOCAL
    return Caller(key.tenant, frozenset(key.scopes), key.id)


def require_local(request: Request, origins: Collection[str] = ()) -> None:
    """Check that a request was sent by a program or a page of this machine.

    Args:
        request: the request.
        origins: other sites whose pages may send requests.

    Raises:
        WrongHostError: its Host is not this machine.
        CrossSiteError: a page of another site sent a request that changes something.
    """
    if not is_loopback(_host(f"//{request.headers.get('host', '')}")):
        raise WrongHostError("without keys only localhost is served: use that name in the URL")
    origin = request.headers.get("origin")
    if origin is None or origin in origins or request.method in _SAFE_METHODS:
        return
    if not is_loopback(_host(origin)):
        raise CrossSiteError(
            "requests from pages of other sites are refused: see SELFHEAL_CORS_ORIGINS"
        )


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


HEADER: Final = APIKeyHeader(
    name="x-api-key", auto_error=False, description="A key from `selfheal keys create`"
)
BEARER: Final = HTTPBearer(auto_error=False, description="The same key as a bearer token")


class Admission:
    """A dependency that admits a caller before anything of the request's body is read.

    `StrictRoute` calls `admit` first; FastAPI resolves the dependency after it has read the body,
    and then only gets what was found. On another kind of route it fails, and admits no caller.

    Args:
        check: decides on a request, its key (None if there is none) and the scopes that the route
            needs; its result is the dependency's value.
    """

    def __init__(
        self, check: Callable[[Request, str | None, Sequence[str]], Awaitable[Any]]
    ) -> None:
        self._check = check

    async def admit(self, request: Request, scopes: Sequence[str]) -> None:
        """Admit the caller of a request.

        Raises:
            NotAuthenticatedError: a key is needed, and there is none or no valid one.
            NotAllowedError: the key lacks a scope.
            TooManyRequestsError: the key's rate limit is exceeded.
            WrongHostError, CrossSiteError: there are no keys, and it is not from this machine.
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
        """Return what was found when the caller was admitted."""
        return request.state.admitted


async def _check_caller(request: Request, secret: str | None, scopes: Sequence[str]) -> Caller:
    state = request.app.state
    caller = await identify(state.service.database, secret)
    if caller.key_id is None:
        require_local(request, state.service.settings.cors_origins)
    else:
        await state.rate_limiter.count(caller.key_id)
    for scope in scopes:
        caller.require(cast("Scope", scope))
    return caller


_CALLER: Final = Admission(_check_caller)
READER: Final = Security(_CALLER, scopes=["runs:read"])
WRITER: Final = Security(_CALLER, scopes=["runs:write"])
AUTHOR: Final = Security(_CALLER, scopes=["prompts:write"])
ADMIN: Final = Security(_CALLER, scopes=["admin"])
Reader = Annotated[Caller, READER]
Writer = Annotated[Caller, WRITER]
Author = Annotated[Caller, AUTHOR]
Admin = Annotated[Caller, ADMIN]


async def _check_role(request: Request, secret: str | None, scopes: Sequence[str]) -> None:
    """Admit other roles. Without a key for them only this machine can connect."""
    key: SecretStr | None = request.app.state.role_key
    if key is None:
        require_local(request)
    elif not hmac.compare_digest((secret or "").encode(), key.get_secret_value().encode()):
        raise NotAuthenticatedError("roles call each other with their own key, SELFHEAL_ROLE_KEY")


RoleOnly = Annotated[None, Depends(Admission(_check_role))]


def set_usage_headers(response: Response, usage: Usage, model: str = "") -> None:
    """Report to the calling role what an answer cost."""
    response.headers[CALLS] = str(usage["calls"])
    response.headers[INPUT_TOKENS] = str(usage["input_tokens"])
    response.headers[OUTPUT_TOKENS] = str(usage["output_tokens"])
    if model:
        response.headers[MODEL] = model.encode("ascii", "replace").decode()
