"""How much a client may send."""

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 4 * 2**20


class BodyLimit:
    """Refuses bodies of more than 4 MB, counted as they come: their stated length may lie."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on until its body has become too long."""
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MOST_BYTES:
                raise HTTPException(413, f"body: more than {MOST_BYTES // 2**20} MB")
            return message

        await self._app(scope, counted if scope["type"] == "http" else receive, send)
