"""What breaks in a way that nobody foresaw: the log says where, the answer does not."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from selfheal.server.api import errors
from selfheal.server.api.middleware import RequestIds
from selfheal.server.observability import logs


@pytest.fixture
def client() -> httpx.AsyncClient:
    app = FastAPI()

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("the password is swordfish")

    @app.get("/cut")
    async def cut() -> StreamingResponse:
        async def body() -> AsyncIterator[str]:
            yield "half"
            raise RuntimeError("the password is swordfish")

        return StreamingResponse(body())

    app.add_middleware(errors.LastResort)
    app.add_middleware(RequestIds)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


async def test_an_unknown_error_is_named_and_not_shown(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.setFormatter(logs.formatter("json", verbose=False))
    answer = await client.get("/broken", headers={"x-request-id": "mine"})
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == "mine"
    assert answer.json() == {
        "detail": "internal error; see the log",
        "field": None,
        "request_id": "mine",
    }
    line = json.loads(caplog.text)
    assert line["request_id"] == "mine"
    assert line["exception"] == "RuntimeError"
    assert "test_last_resort.py" in line["at"][-1]
    assert "swordfish" not in caplog.text


async def test_the_log_says_all_when_asked_to(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.setFormatter(logs.formatter("json", verbose=True))
    await client.get("/broken")
    assert "RuntimeError: the password is swordfish" in json.loads(caplog.text)["exception"]


async def test_an_answer_that_has_begun_is_cut_off(client: httpx.AsyncClient) -> None:
    with pytest.raises(RuntimeError):
        await client.get("/cut")
