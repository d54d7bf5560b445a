"""A receiver of webhooks: a real HTTP server that checks signatures as the specification says."""

import asyncio
import base64
import hmac
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True)
class Got:
    """A message as it came over the wire."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def received(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def is_signed(self, secret: str = SECRET) -> bool:
        """Check the signature by the letter of the specification."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = b".".join(
            (self.id.encode(), self.headers["webhook-timestamp"].encode(), self.body)
        )
        right = "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
        return right in self.headers["webhook-signature"].split(" ")


Reply = Callable[[Got], Awaitable[Response]]


@dataclass
class Receiver:
    """What came, and how it is answered."""

    url: str
    reply: Reply
    got: list[Got] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        got = Got(request.url.path, dict(request.headers), await request.body())
        self.got.append(got)
        return await self.reply(got)

    async def has(self, count: int, seconds: float = 20) -> list[Got]:
        """Wait until so many messages came; return them."""
        async with asyncio.timeout(seconds):
            while len(self.got) < count:
                await asyncio.sleep(0.02)
        return self.got


def answering(*codes: int, **headers: str) -> Reply:
    """Return a reply that gives each of these in turn, and the last one for ever."""
    left = list(codes)

    async def reply(_: Got) -> Response:
        return Response(status_code=left.pop(0) if len(left) > 1 else left[0], headers=headers)

    return reply


@asynccontextmanager
async def receiving(
    reply: Reply | None = None, *, port: int = 0, tls: tuple[Path, Path] | None = None
) -> AsyncIterator[Receiver]:
    """Receive on a port of this machine; by TLS, if key and certificate are given."""
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    receiver = Receiver(f"http://127.0.0.1:{listener.getsockname()[1]}", reply or answering(200))
    app = Starlette(routes=[Route("/{path:path}", receiver.answer, methods=["POST"])])
    files: dict[str, Any] = {"ssl_keyfile": tls[0], "ssl_certfile": str(tls[1])} if tls else {}
    config = uvicorn.Config(
        app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1, **files
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield receiver
    finally:
        server.should_exit = True
        await serving
        listener.close()
