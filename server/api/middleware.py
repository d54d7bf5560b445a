"""Middleware: a request's id, and the size and the speed of its body."""

import asyncio
import re
from typing import Final
from uuid import uuid4

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from selfheal.app.strict_json import Bounds
from selfheal.server.observability.logs import request_id

REQUEST_ID_HEADER: Final = "x-request-id"

_VALID_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")

BODY: Final = Bounds(size=2**20, values=20_000, depth=64)
BODY_RULES: Final = (
    f"JSON of UTF-8 with finite numbers, at most {BODY.values} values, nested at most"
    f" {BODY.depth} deep"
)
_BODY_SECONDS: Final = 20.0  # from the first byte that is read to the last one
# For all bodies together. Small ones are always accepted: those of 1 MB add up.
_HELD_BYTES: Final = 48 * 2**20
_SMALL_BYTES: Final = 32 * 2**10


class RequestIds:
    """Gives each request an id, the client's if it is valid, for the answer and the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, and add its id to the answer's headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        own_id = given if _VALID_ID.fullmatch(given) else uuid4().hex
        request_id.set(own_id)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = own_id
            await send(message)

        await self._app(scope, receive, send_with_id)


class BodyLimit:
    """Refuses bodies of more than 1 MB, counted as they arrive, and those that arrive too slowly.

    All bodies in flight together have at most 48 MB; until some of them end, others of more than
    32 KB are refused with 503.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.held = 0  # bytes of all bodies in flight, beyond the first 32 KB of each

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, counting its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(self, scope, receive)
        try:
            await self._app(scope, body.receive, send)
        finally:
            self.held -= body.held


class _Body:
    """The body of one request, as it arrives."""

    def __init__(self, limit: BodyLimit, scope: Scope, receive: Receive) -> None:
        self._limit = limit
        self._receive = receive
        self._stated = Headers(scope=scope).get("content-length", "")
        self._received = 0
        self._deadline: float | None = None
        self._complete = False
        self.held = 0

    async def receive(self) -> Message:
        """Return the next part.

        Raises:
            HTTPException: 413 if it is too long, or its content-length is; 408 if it arrives too
                slowly; 503 if all bodies in flight are too long together.
        """
        if self._complete:  # what can still arrive is that the client disconnects
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
            raise HTTPException(408, f"body: it did not arrive within {seconds} s") from None
        self._count(len(message.get("body", b"")))
        self._complete = not message.get("more_body", False)
        return message

    def _count(self, size: int) -> None:
        self._received += size
        if self._received > BODY.size:
            raise _too_long()
        held = max(0, self._received - _SMALL_BYTES)
        self._limit.held += held - self.held
        self.held = held
        if held and self._limit.held > _HELD_BYTES:
            why = "too many large bodies are being sent; try again in a few seconds"
            raise HTTPException(503, why, {"Retry-After": "5"})


def _too_long() -> HTTPException:
    return HTTPException(413, f"body: more than {BODY.size // 2**20} MB")
