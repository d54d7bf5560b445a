"""Another stand-in for Gemini, scripted by a test: it says just what the test wants it to say."""

import asyncio
import inspect
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


@dataclass(frozen=True)
class Asked:
    """One call as it came over the wire."""

    model: str
    system: str
    text: str
    schema: dict[str, Any] | None
    key: str

    @property
    def fields(self) -> set[str]:
        """The names of the answer's fields, empty for free text."""
        return set((self.schema or {}).get("properties", {}))


@dataclass
class ScriptedModel:
    """Answers by calling `reply`: a text, a dict for a shape, or (status, body), or a promise.

    A body of bytes is sent as it is.
    """

    reply: Callable[[Asked], str | dict[str, Any] | tuple[int, dict[str, Any]]]
    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        """Answer one generateContent."""
        body = await request.json()
        asked = Asked(
            model=request.path_params["model"].partition(":")[0],
            system=_text(body.get("systemInstruction") or {}),
            text="\n".join(_text(each) for each in body["contents"]),
            schema=body.get("generationConfig", {}).get("responseJsonSchema"),
            key=request.headers.get("x-goog-api-key", ""),
        )
        self.asked.append(asked)
        reply: Any = self.reply(asked)
        if inspect.isawaitable(reply):
            reply = await reply
        if isinstance(reply, tuple):
            return _json(reply[1], reply[0])
        text = reply if isinstance(reply, str) else json.dumps(reply)
        return _json(said(text))


def _json(body: dict[str, Any] | bytes, status: int = 200) -> Response:
    """Answer in ASCII: halves of surrogate pairs can be sent only so."""
    content = body if isinstance(body, bytes) else json.dumps(body)
    return Response(content, status, media_type="application/json")


def said(text: str, finish: str = "STOP") -> dict[str, Any]:
    """Return the body of an answer."""
    content = {"role": "model", "parts": [{"text": text}]}
    return {
        "candidates": [{"content": content, "finishReason": finish, "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 11,
            "candidatesTokenCount": 7,
            "totalTokenCount": 18,
        },
        "modelVersion": "stand-in-1",
    }


def _text(content: dict[str, Any]) -> str:
    return "".join(part.get("text", "") for part in content.get("parts", []))


@asynccontextmanager
async def serve_scripted_model(reply: Callable[[Asked], Any]) -> AsyncIterator[ScriptedModel]:
    """Serve a stand-in on a free port of this machine, in this very process."""
    scripted_model = ScriptedModel(reply)
    # The version of the API is the client's choice, by its release.
    path = "/{version}/models/{model:path}"
    app = Starlette(routes=[Route(path, scripted_model.answer, methods=["POST"])])
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    scripted_model.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield scripted_model
    finally:
        server.should_exit = True
        await serving
        listener.close()


def agent_reply(code: str | Callable[[Asked], str], **plan: Any) -> Callable[[Asked], Any]:
    """Return a reply that plans anything, writes `code`, and likes all that it judges."""

    def reply(asked: Asked) -> Any:
        if "signature" in asked.fields:
            drawn = {"title": "t", "requirements": ["r"], "signature": "def f()", "examples": []}
            return {**drawn, **plan}
        if "correctness" in asked.fields:
            marks = dict.fromkeys(("correctness", "completeness", "readability"), 1.0)
            return {**marks, "reasons": []}
        return f"Here it is.\n\n```python\n{code if isinstance(code, str) else code(asked)}\n```"

    return reply
