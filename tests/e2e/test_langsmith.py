"""Traces on LangSmith's wire, read by a small server of our own."""

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.support.processes import selfheal, started

ASK = {"assistant_id": "agent", "input": {"request": "Write is_leap_year(year)."}}


@asynccontextmanager
async def langsmith() -> AsyncIterator[tuple[str, dict[str, bytes]]]:
    """Serve; yield the address and the parts that came, by their names."""
    parts: dict[str, bytes] = {}

    async def info(_: Request) -> JSONResponse:
        batches = {
            "use_multipart_endpoint": True,
            "scale_up_qsize_trigger": 1000,
            "scale_up_nthreads_limit": 16,
            "scale_down_nempty_trigger": 4,
            "size_limit": 100,
            "size_limit_bytes": 20_971_520,
        }
        return JSONResponse({"version": "test", "batch_ingest_config": batches})

    async def runs(request: Request) -> JSONResponse:
        body = await request.body()
        if body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        boundary = request.headers["content-type"].partition("boundary=")[2].strip('"').encode()
        for part in body.split(b"--" + boundary):
            if b'name="' in part:
                name = part.partition(b'name="')[2].partition(b'"')[0].decode()
                parts[name] = part.partition(b"\r\n\r\n")[2].strip()
        return JSONResponse({}, 202)

    app = Starlette(routes=[Route("/info", info), Route("/runs/multipart", runs, methods=["POST"])])
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", parts
    finally:
        server.should_exit = True
        await serving
        listener.close()


def extra_of(parts: dict[str, bytes], run_id: str) -> dict[str, Any]:
    """Return a trace's newest `extra`."""
    merged: dict[str, Any] = {}
    for name, value in parts.items():
        if run_id in name and name.endswith(".extra"):
            merged |= json.loads(value).get("metadata", {})
    return merged


async def test_a_trace_knows_its_run_its_prompts_and_its_class(
    service_env: dict[str, str],
) -> None:
    async with langsmith() as (endpoint, parts):
        env = {
            **service_env,
            "LANGSMITH_TRACING": "true",
            "LANGSMITH_API_KEY": "langsmith-secret",
            "LANGSMITH_ENDPOINT": endpoint,
            "LANGSMITH_DISABLE_RUN_COMPRESSION": "true",
        }
        serving = started(
            *selfheal("serve", "--port", "0"), env=env, says=r"serving on (http://\S+)"
        )
        async with serving as (_, url), httpx.AsyncClient(base_url=url, timeout=60) as client:
            run_id = (await client.post("/runs/wait", json=ASK)).json()["run_id"]
    metadata = extra_of(parts, run_id)
    assert metadata["run_id"] == run_id
    assert metadata["prompt_versions"] == {"manager": 1, "worker": 1, "evaluator": 1}
    assert metadata["error_class"] in ("ok", "failed")
    assert b"langsmith-secret" not in b"".join(parts.values())
    assert b'"simulated"' not in b"".join(parts.values())
