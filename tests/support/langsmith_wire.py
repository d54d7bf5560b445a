"""LangSmith's wire, as far as its client speaks it, served by a test."""

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

PROJECT = UUID(int=7)
WORKSPACE = UUID(int=8)
_BATCHES = {
    "use_multipart_endpoint": True,
    "scale_up_qsize_trigger": 1000,
    "scale_up_nthreads_limit": 16,
    "scale_down_nempty_trigger": 4,
    "size_limit": 100,
    "size_limit_bytes": 20_971_520,
}


# What no trace may tell of the process that sent it: LangSmith's client adds such variables to the
# metadata of each trace unless it is asked not to.
_PLANTED = {
    "LANGSMITH_OF_THIS_PROCESS": "planted-in-langsmith",
    "LANGCHAIN_OF_THIS_PROCESS": "planted-in-langchain",
    "LANGSMITH_REVISION_ID": "planted-revision",
    "GIT_COMMIT": "planted-commit",
}
_NEVER = (b"planted-", b"_OF_THIS_PROCESS", b"langsmith-secret", b'"simulated"', b"postgresql://")
# The traces that are begun by us, each with the tags that it may have.
_ROOTS = {
    "agent run": {"selfheal:production"},
    "worker": {"selfheal:production", "selfheal:trial"},
    "evaluator": {"selfheal:production", "selfheal:trial"},
    "healing": {"selfheal:healing"},
    "judge check": {"selfheal:check"},
    "doctor": {"selfheal:check"},
}


@dataclass
class LangSmith:
    """What came, part by part: `post.<run>`, `patch.<run>`, `feedback.<id>`, with `.inputs` …"""

    url: str = ""
    parts: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        """What a process needs to trace here."""
        return {
            "LANGSMITH_TRACING": "true",
            "LANGSMITH_API_KEY": "langsmith-secret",
            "LANGSMITH_ENDPOINT": self.url,
            "LANGSMITH_DISABLE_RUN_COMPRESSION": "true",
            **_PLANTED,
        }

    @property
    def all(self) -> bytes:
        """Everything, to search in."""
        return b"".join(value for _, value in self.parts)

    def runs(self) -> dict[str, dict[str, Any]]:
        """Return each run as LangSmith would show it, by its id: later parts over earlier ones."""
        runs: dict[str, dict[str, Any]] = {}
        for name, value in self.parts:
            kind, run_id, *rest = name.split(".")
            if kind in ("post", "patch"):
                told = json.loads(value)
                run = runs.setdefault(run_id, {"posts": 0})
                run["posts"] += kind == "post" and not rest
                run.update({rest[0]: told} if rest else told)
        return runs

    def metadata(self, run_id: str) -> dict[str, Any]:
        """Return a run's newest metadata."""
        found: dict[str, Any] = self.runs()[run_id]["extra"]["metadata"]
        return found

    def feedback(self, run_id: str) -> dict[str, dict[str, Any]]:
        """Return a run's scores by their keys."""
        told = [json.loads(value) for name, value in self.parts if name.startswith("feedback.")]
        return {each["key"]: each for each in told if each["run_id"] == run_id}

    def require_named_and_discreet(self) -> None:
        """Assert of all that came: each trace is one of ours by name, and none tells too much.

        A model call by itself would be the root of its trace, under a library's name.
        """
        for sent in _NEVER:
            assert sent not in self.all
        runs = self.runs()
        for run in runs.values():
            root = runs[run["trace_id"]]
            assert root["name"] in _ROOTS, f"{run['name']} is below no trace of ours"
            assert len(_ROOTS[root["name"]].intersection(root["tags"])) == 1
            assert "runtime" not in root["extra"]
            if run["run_type"] == "llm":
                assert run["id"] != run["trace_id"]
                assert run["parent_run_id"] in runs

    def below(self, root: str) -> list[dict[str, Any]]:
        """Return all runs of the traces that have this root's name, roots left out."""
        runs = self.runs()
        roots = {id_ for id_, run in runs.items() if run["name"] == root}
        return [run for id_, run in runs.items() if run["trace_id"] in roots - {id_}]

    async def _info(self, _: Request) -> JSONResponse:
        return JSONResponse({"version": "0.13.0", "batch_ingest_config": _BATCHES})

    async def _sessions(self, request: Request) -> JSONResponse:
        """Answer that the project is there as soon as a trace has come."""
        project = {
            "id": str(PROJECT),
            "tenant_id": str(WORKSPACE),
            "name": request.query_params["name"],
            "reference_dataset_id": None,
        }
        return JSONResponse([project] if self.parts else [])

    async def _runs(self, request: Request) -> JSONResponse:
        body = await request.body()
        if body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        boundary = request.headers["content-type"].partition("boundary=")[2].strip('"').encode()
        for part in body.split(b"--" + boundary):
            if b'name="' in part:
                name = part.partition(b'name="')[2].partition(b'"')[0].decode()
                self.parts.append((name, part.partition(b"\r\n\r\n")[2].strip()))
        return JSONResponse({}, 202)

    async def _feedback(self, request: Request) -> JSONResponse:
        """Take a score by itself, as a client sends it that exports spans too."""
        told = await request.body()
        self.parts.append((f"feedback.{json.loads(told)['id']}", told))
        return JSONResponse({})

    def app(self) -> Starlette:
        """Return the application."""
        routes = [
            Route("/info", self._info),
            Route("/sessions", self._sessions),
            Route("/feedback", self._feedback, methods=["POST"]),
            Route("/runs/multipart", self._runs, methods=["POST"]),
        ]
        return Starlette(routes=routes)


@asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[str]:
    """Serve on a free port of this machine; yield the address."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
        listener.close()


@asynccontextmanager
async def langsmith() -> AsyncIterator[LangSmith]:
    """Serve LangSmith; at the end, look at all that came."""
    told = LangSmith()
    async with serving(told.app()) as told.url:
        yield told
    told.require_named_and_discreet()
