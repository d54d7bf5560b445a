"""Traces for a collector of OpenTelemetry, read by a small server of OTLP over HTTP."""

import asyncio
import gzip
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.harness.processes import finished, selfheal, started
from tests.support.langsmith_wire import langsmith, serving

otlp = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")

SAYS = r"serving on (http://\S+)"
SERVE = selfheal("serve", "--port", "0")
ASK = {"assistant_id": "agent", "input": {"request": "Write is_leap_year(year)."}}


@asynccontextmanager
async def collecting() -> AsyncIterator[tuple[str, list[Any], list[str]]]:
    """Serve OTLP; yield the address, the spans that come, and the keys that came with them."""
    spans: list[Any] = []
    sent: list[str] = []

    async def traces(request: Request) -> Response:
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        sent.append(request.headers.get("x-api-key", ""))
        for resource in otlp.ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                spans.extend(scope.spans)
        return Response(otlp.ExportTraceServiceResponse().SerializeToString())

    app = Starlette(routes=[Route("/v1/traces", traces, methods=["POST"])])
    async with serving(app) as url:
        yield url, spans, sent


def attributes(span: Any) -> dict[str, str]:
    return {each.key: each.value.string_value for each in span.attributes}


def env_of(collector: str) -> dict[str, str]:
    return {
        "LANGSMITH_TRACING": "true",
        "LANGSMITH_TRACING_MODE": "otel",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
        "OTEL_SERVICE_NAME": "selfheal",
    }


@pytest.mark.parametrize("mode", ["otel", "hybrid"])
async def test_a_collector_gets_a_runs_spans_and_langsmith_only_what_it_is_to_get(
    service_env: dict[str, str], mode: str
) -> None:
    async with collecting() as (collector, spans, sent), langsmith() as told:
        env = {**service_env, **told.env, **env_of(collector)}
        env |= {"LANGSMITH_TRACING_MODE": mode, "OTEL_EXPORTER_OTLP_HEADERS": "x-collector=mine"}
        async with (
            started(*SERVE, env=env, says=SAYS) as (_, url),
            httpx.AsyncClient(base_url=url, timeout=60) as client,
        ):
            run_id = (await client.post("/runs/wait", json=ASK)).json()["run_id"]
            said = await client.post(f"/runs/{run_id}/feedback", json={"passed": True})
            assert said.status_code == 201
    ours = [span for span in spans if "langsmith.span.kind" in attributes(span)]
    names = Counter(span.name for span in ours)
    assert [names[each] for each in ("agent run", "manager", "worker", "evaluator")] == [1] * 4
    assert names["ChatGoogleGenerativeAI"] == 3
    root = next(span for span in ours if span.name == "agent run")
    assert attributes(root)["langsmith.metadata.run_id"] == run_id
    assert attributes(root)["langsmith.metadata.outcome"] in ("ok", "failed")
    assert {span.trace_id for span in ours} == {root.trace_id}
    if mode == "otel":
        assert told.parts == []
    else:
        assert told.metadata(run_id)["outcome"] in ("ok", "failed")
        assert {"score", "passed", "user_score"} <= told.feedback(run_id).keys()
    assert set(sent) == {""}


async def test_a_collector_that_is_gone_blocks_nothing(service_env: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        collector = f"http://127.0.0.1:{silent.getsockname()[1]}"
        env = {**service_env, **env_of(collector)}
        async with started(*SERVE, env=env, says=SAYS) as (process, url):
            async with httpx.AsyncClient(base_url=url, timeout=60) as client:
                assert "run_id" in (await client.post("/runs/wait", json=ASK)).json()
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 60) == 0
            assert time.monotonic() - began < 15


WITHOUT = (
    "import sys; sys.modules['opentelemetry.exporter.otlp.proto.http.trace_exporter'] = None;"
    "from selfheal.server.cli import main; main()"
)


async def test_without_the_packages_nothing_goes_elsewhere_instead(
    service_env: dict[str, str],
) -> None:
    env = {**service_env, **env_of("http://127.0.0.1:1")}
    code, _, err = await finished(sys.executable, "-c", WITHOUT, "serve", "--port", "0", env=env)
    assert code == 2
    assert err.endswith("sending to a collector needs pip install 'selfheal[otel]'\n")
