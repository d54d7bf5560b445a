"""`/metrics` on a port of its own, which clients of the service need not reach."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from fastapi import FastAPI, Request, Response
from prometheus_client import REGISTRY, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from selfheal.server.http_server import beside
from selfheal.server.observability.metrics.deployment import Deployment


class Source(Protocol):
    """A source of metrics."""

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        ...


class _Combined(Collector):
    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        yield from REGISTRY.collect()
        for source in self._sources:
            yield from source.collect()


@asynccontextmanager
async def exposing(
    listener: socket.socket, *sources: Source, deployment: Deployment | None = None
) -> AsyncIterator[None]:
    """Serve `/metrics` beside the body."""
    app = create_metrics_app(*sources, deployment=deployment)
    async with beside(app, listener):
        yield


def create_metrics_app(*sources: Source, deployment: Deployment | None = None) -> FastAPI:
    """Return the application of `/metrics`.

    Args:
        sources: metrics of this process, beside those of the default registry.
        deployment: the deployment's metrics, if this process may expose them.
    """
    app = FastAPI(openapi_url=None)
    reading = asyncio.Lock()
    collector = _Combined((*sources, *((deployment,) if deployment else ())))

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        async with reading:
            if deployment:
                await deployment.refresh()
            encode, content_type = choose_encoder(request.headers.get("accept", ""))
            return Response(encode(collector), media_type=content_type)

    return app
