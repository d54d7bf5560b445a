"""How much a client may send in a request's body, and how long it may take for it."""

import asyncio
from typing import Final

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from selfheal.app.strict_json import Bounds

BODY: Final = Bounds(size=2**20, values=20_000, depth=64)
BODY_RULES: Final = (
    f"JSON of UTF-8 with finite numbers, at most {BODY.values} values, nested at most"
    f" {BODY.depth} deep"
)
_BODY_SECONDS: Final = 20.0  # from the first byte that is asked for to the last one
# Of all bodies together. A small one is always taken: it is those of 1 MB that add up.
_HELD_BYTES: Final = 48 * 2**20
_SMALL_BYTES: Final = 32 * 2**10


class BodyLimit:
    """Refuses bodies of more than 1 MB, counted as they come, and those that come too slowly.

    All bodies under way together have at most 48 MB; until some of them end, others of more than
    32 KB are refused with 503.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.held = 0  # bytes of all requests under way, beyond the first 32 KB of each

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, its body counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(self, scope, receive)
        try:
            await self._app(scope, body.receive, send)
        finally:
            self.held -= body.held


class _Body:
    """The body of one request, as it comes in."""

    def __init__(self, limit: BodyLimit, scope: Scope, receive: Receive) -> None:
        self._limit = limit
        self._receive = receive
        self._stated = Headers(scope=scope).get("content-length", "")
        self._taken = 0
        self._deadline: float | None = None
        self._complete = False
        self.held = 0

    async def receive(self) -> Message:
        """Return the next part.

        Raises:
            HTTPException: 413 if it is too long, or says that it will be; 408 if it comes too
                slowly; 503 if all bodies under way are too long together.
        """
        if self._complete:  # what is waited for from here on is the caller's going away
            return await self._receive()
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + _BODY_SECONDS
            if self._stated.isdecimal() and int(self._stated) > BODY.size:
                raise _too_long()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            seconds = f"{_BODY_SECONDS:g}"
            raise HTTPException(408, f"body: it did not come within {seconds} s") from None
        self._count(len(message.get("body", b"")))
        self._complete = not message.get("more_body", False)
        return message

    def _count(self, size: int) -> None:
        self._taken += size
        if self._taken > BODY.size:
            raise _too_long()
        held = max(0, self._taken - _SMALL_BYTES)
        self._limit.held += held - self.held
        self.held = held
        if held and self._limit.held > _HELD_BYTES:
            why = "too much is being sent at once; try again in a few seconds"
            raise HTTPException(503, why, {"Retry-After": "5"})


def _too_long() -> HTTPException:
    return HTTPException(413, f"body: more than {BODY.size // 2**20} MB")
