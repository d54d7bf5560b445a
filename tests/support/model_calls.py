"""Model calls through the real client to a server that is scripted."""

from contextlib import aclosing
from typing import Any

import pytest
from pydantic import BaseModel, Field

from bench.harness.scripted_model import Asked, serve_scripted_model
from selfheal.app.llm.client import Model

NAME = "google_genai:gemini-3.8-flash"


class Mark(BaseModel):
    """A shape with a range."""

    mark: float = Field(ge=0, le=1)


def failing(times: int, failure: tuple[int, dict[str, Any]], then: Any = "done") -> Any:
    """Return a reply that fails so many times first."""
    left = [times]

    def reply(_: Asked) -> Any:
        left[0] -= 1
        return failure if left[0] >= 0 else then

    return reply


def rate_limit(delay: str) -> tuple[int, dict[str, Any]]:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    return 429, {
        "error": {
            "code": 429,
            "message": "Resource exhausted",
            "status": "RESOURCE_EXHAUSTED",
            "details": [info],
        }
    }


def broken(code: int, status: str, message: str = "no") -> tuple[int, dict[str, Any]]:
    return code, {"error": {"code": code, "message": message, "status": status}}


async def ask(reply: Any, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Any:
    """Call a model whose server is scripted; return the answer and the server."""
    names = options.pop("names", (NAME,))
    shape = options.pop("shape", None)
    async with serve_scripted_model(reply) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        async with aclosing(Model(names, **{"timeout": 20.0, **options})) as model:
            answer = await (model.fill("s", "h", shape) if shape else model.write("s", "h"))
        return answer, server
