"""No request keeps the event loop: with a key or without one, taken or refused."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from fastapi import FastAPI

from selfheal.app.llm.models import models_for, open_model
from selfheal.db import api_keys
from selfheal.db.pool import Database
from selfheal.graph.evaluator import open_evaluator
from selfheal.graph.sandbox.packages import NO_PACKAGES
from selfheal.server.app import create_app, create_evaluator_app, create_worker_app
from selfheal.server.execution.role_services import WorkerService
from selfheal.server.http.server import freeze_garbage_collector, serving
from selfheal.server.service import open_service
from selfheal.server.settings import read_settings
from tests.support import parser_worst_cases
from tests.support.event_loop_stalls import watched
from tests.support.openapi_operations import Operation, operations

ROLE_KEY: Final = "the-key-of-all-the-roles"
REQUEST: Final = {"request": "Write add(a, b)."}
RIGHT: Final[dict[str, Any]] = {
    "assistant_id": "agent",
    "input": REQUEST,
    "after_seconds": 600,
    "schedule": "0 6 * * 1",
    "request": "Write add(a, b).",
    "code": "x = 1\n",
    "values": REQUEST,
    "checkpoint": {},
    "metadata": {},
    "text": "Literal.",
    "version": 1,
    "score": 1,
    "status": "pending",
}
_EXAMPLES = parser_worst_cases.examples()
_INPUTS = [{**REQUEST, "examples": each} for each in _EXAMPLES.values()]
_PLANS = [
    {"examples": [{**row, "origin": "inferred"} for row in each]} for each in _EXAMPLES.values()
]
_RUNS: Final[dict[str, list[Any]]] = {
    "input": _INPUTS,
    "webhook": ["https://" + "a." * 950 + "example"],
}
_CRONS: Final[dict[str, list[Any]]] = {
    **_RUNS,
    "schedule": list(parser_worst_cases.schedules().values()),
    "timezone": ["../" * 30, "Europe"],
}
# What is tried of the fields of a body beside what any field might be given. A body without an
# entry makes the test fail: say here what it takes that is parsed, or that nothing is.
SPECIAL: Final[dict[str, dict[str, list[Any]]]] = {
    "ActivateBody": {},
    "ApproveBody": {},
    "AssistantCount": {"metadata": [{"created_by": []}]},
    "AssistantSearch": {"metadata": [{"created_by": []}]},
    "AssistantVersions": {"metadata": [{"created_by": []}]},
    "CancelBody": {},
    "CronCount": {},
    "CronCreate": _CRONS,
    "CronPatch": {name: values for name, values in _CRONS.items() if name != "input"},
    "CronSearch": {},
    "EvaluateBody": {"examples": [*_EXAMPLES.values()], "plan": _PLANS},
    "ExecuteBody": {"examples": [*_EXAMPLES.values()], "plan": _PLANS},
    "FeedbackBody": {},
    "HealBody": {},
    "HistoryBody": {"before": [{"configurable": {}}, {"configurable": 1}]},
    "LiftBody": {},
    "PauseBody": {},
    "PromptBody": {"text": [*parser_worst_cases.prompt_pair()]},
    "RollbackBody": {},
    "RunCreate": _RUNS,
    "StateAt": {},
    "StateUpdate": {"values": _INPUTS},
    "ThreadCount": {},
    "ThreadCreate": {},
    "ThreadPatch": {},
    "ThreadSearch": {},
    "list[BatchedRun]": {},
}
BATCHES: Final = [
    [{"assistant_id": "agent", "after_seconds": 600, "input": each}]
    * max(1, min(100, 900_000 // (len(json.dumps(each)) + 200)))
    for each in _INPUTS
]
# What takes no body and does work by what is stored, which `_prepare` makes the worst of.
STORED: Final = {
    "GET /prompts/{agent}/diff",
    "GET /prompts/{agent}/versions",
    "GET /threads/{thread_id}/state",
    "GET /threads/{thread_id}/history",
    "GET /threads/{thread_id}",
    "GET /runs",
}
# What takes no body, and is asked as it is. An operation that is in neither makes the test fail.
PLAIN: Final = {
    "DELETE /assistants/{assistant_id}",
    "DELETE /runs/crons/{cron_id}",
    "DELETE /store/items",
    "DELETE /threads/{thread_id}",
    "DELETE /threads/{thread_id}/runs/{run_id}",
    "GET /assistants/{assistant_id}",
    "GET /assistants/{assistant_id}/graph",
    "GET /assistants/{assistant_id}/schemas",
    "GET /assistants/{assistant_id}/subgraphs",
    "GET /assistants/{assistant_id}/subgraphs/{namespace}",
    "GET /health/live",
    "GET /health/ready",
    "GET /healings",
    "GET /healings/last-pass",
    "GET /healings/{healing_id}",
    "GET /info",
    "GET /judge",
    "GET /ok",
    "GET /prompts",
    "GET /prompts/{agent}",
    "GET /prompts/{agent}/releases",
    "GET /runs/crons/{cron_id}",
    "GET /runs/{run_id}",
    "GET /runs/{run_id}/stream",
    "GET /store/items",
    "GET /threads/{thread_id}/runs",
    "GET /threads/{thread_id}/runs/{run_id}",
    "GET /threads/{thread_id}/runs/{run_id}/join",
    "GET /threads/{thread_id}/runs/{run_id}/stream",
    "GET /threads/{thread_id}/state/{checkpoint_id}",
    "GET /threads/{thread_id}/stream",
    "PATCH /assistants/{assistant_id}",
    "POST /assistants",
    "POST /assistants/{assistant_id}/latest",
    "POST /healings/{healing_id}/reject",
    "POST /store/items/search",
    "POST /store/namespaces",
    "PATCH /threads/{thread_id}/state",
    "POST /threads/prune",
    "POST /threads/{thread_id}/commands",
    "POST /threads/{thread_id}/copy",
    "POST /threads/{thread_id}/stream/events",
    "POST /threads/{thread_id}/runs/{run_id}/cancel",
    "PUT /store/items",
}


class Client:
    """Asks over sockets of its own: what a client library would do counts for the loop as well."""

    def __init__(self, url: str) -> None:
        self._address = url.removeprefix("http://").split(":")

    async def ask(
        self, method: str, path: str, body: bytes = b"", key: str | None = None
    ) -> tuple[int, bytes]:
        """Return the status, and what of the answer has come by then."""
        reader, writer = await asyncio.open_connection(*self._address)
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        head += f"x-api-key: {key}\r\n" if key else ""
        try:
            writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
            async with asyncio.timeout(60):
                answer = await reader.readuntil(b"\r\n\r\n")
                answer += await reader.read(4_096)
        finally:
            writer.transport.abort()
        return int(answer.split()[1]), answer.partition(b"\r\n\r\n")[2]


def model_of(one: Operation) -> str:
    """Return the name of what an operation's body must be."""
    schema = one.described["requestBody"]["content"]["application/json"]["schema"]
    if "items" in schema:
        return f"list[{schema['items']['$ref'].rpartition('/')[2]}]"
    return str(schema["$ref"].rpartition("/")[2])


def tries(
    one: Operation, document: dict[str, Any], ids: dict[str, str], seen: set[str]
) -> Iterator[tuple[str, bytes, bool]]:
    """Yield what is asked of an operation: what it tries, the body, and whether without a key too.

    Of a body that several operations take the fields are tried once.
    """
    if not one.takes_body:
        yield "", b"", True
        return
    # One reader reads the bodies of all: it is tried out once, and that a route has it for each.
    shapes = parser_worst_cases.any_at_all()
    for name in ("keys", "floats", "too many nested") if seen else shapes:
        yield name, shapes[name].encode(), True
    model = model_of(one)
    if model not in seen:
        seen.add(model)
        schema = document["components"]["schemas"].get(model, {})
        for name, body in parser_worst_cases.bodies(schema, RIGHT, SPECIAL[model]):
            yield name, body, False
    if model == "list[BatchedRun]":
        for number, batch in enumerate(BATCHES):
            yield f"batch #{number}", json.dumps(batch).encode(), False


@dataclass
class Asking:
    """One application that is asked everything."""

    client: Client
    key: str
    slow: dict[str, float] = field(default_factory=dict)
    broken: dict[str, int] = field(default_factory=dict)

    async def ask(self, one: Operation, url: str, body: bytes, what: str) -> int:
        """Ask while the loop is watched; twice if it was kept: what is slow is slow again."""
        key = None if "without a key" in what else self.key
        for _ in range(2):
            async with watched() as loop:
                status, _ = await self.client.ask(one.method, url, body, key)
            if loop.is_quick:
                break
        else:
            self.slow[what] = round(loop.longest, 3)
        if status == 500:
            self.broken[what] = status
        return status


async def keeps_quick(app: FastAPI, key: str, ids: dict[str, str]) -> None:
    """Ask an application everything, with a key and without one, while its loop is watched."""
    document = app.openapi()
    seen: set[str] = set()
    async with serving(app) as url:
        asking = Asking(Client(url), key)
        await asking.client.ask("GET", "/health/live")
        freeze_garbage_collector()
        for one in operations(document):
            address = one.url(**ids) + ids.get(f"query of {one}", "")
            for name, body, also_without in tries(one, document, ids, seen):
                await asking.ask(one, address, body, f"{one} {name}")
                if also_without and one.described.get("security"):
                    what = f"{one} {name} without a key"
                    status = await asking.ask(one, address, body, what)
                    if status != 401:
                        asking.broken[what] = status
    assert asking.slow == {}
    assert asking.broken == {}


@pytest.fixture
def environment(
    database_url: str, gemini: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("SELFHEAL_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SELFHEAL_RATE_PER_MINUTE", "0")
    monkeypatch.setenv("SELFHEAL_MAX_WAITING", "100000")
    monkeypatch.setenv("SELFHEAL_SANDBOX", "static")
    monkeypatch.setenv("SELFHEAL_ROLE_KEY", ROLE_KEY)


@pytest.fixture
async def manager(environment: None) -> AsyncIterator[tuple[FastAPI, Database]]:
    """Open the application that callers use. What it takes in is executed by nothing."""
    settings = read_settings()
    async with open_service(settings, local=False, interval=0) as (service, scheduler):
        yield create_app(service, scheduler), service.database


async def _prepare(client: Client, key: str) -> dict[str, str]:
    """Store what makes reading it the most work; return the ids of it."""

    async def made(path: str, body: Any, id_: str) -> str:
        status, answer = await client.ask("POST", path, json.dumps(body).encode(), key)
        found = re.search(rf'"{id_}":"?([\w-]+)', answer.decode(errors="replace"))
        assert found, (status, answer)
        return found[1]

    older, newer = [
        await made("/prompts/worker/versions", {"text": text}, "version")
        for text in parser_worst_cases.prompt_pair()
    ]
    thread = await made("/threads", {}, "thread_id")
    for each in (_EXAMPLES["one list"], _EXAMPLES["nested"]):
        values = {**REQUEST, "examples": each}
        await made(f"/threads/{thread}/state", {"values": values}, "checkpoint_id")
    return {
        "thread_id": thread,
        "run_id": await made("/runs", ask_for(_EXAMPLES["one list"]), "run_id"),
        "query of GET /prompts/{agent}/diff": f"?from={older}&to={newer}",
        "query of GET /threads/{thread_id}/history": "?limit=1000",
        "query of GET /runs": "?limit=500",
    }


def ask_for(examples: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "assistant_id": "agent",
        "after_seconds": 600,
        "input": {**REQUEST, "examples": examples},
    }


@pytest.mark.timeout(900)
async def test_no_request_keeps_the_loop(manager: tuple[FastAPI, Database]) -> None:
    app, database = manager
    async with database.connection() as connection:
        _, key = await api_keys.create(connection, tenant="own", scopes=api_keys.SCOPES, days=None)
    async with serving(app) as url:
        ids = await _prepare(Client(url), key)
    await keeps_quick(app, key, ids)


@pytest.mark.timeout(600)
async def test_no_request_keeps_the_loop_of_a_role(environment: None, database: Database) -> None:
    settings = read_settings()
    async with AsyncExitStack() as stack:
        evaluator = await stack.enter_async_context(open_evaluator(settings))
        model = await stack.enter_async_context(open_model(settings, models_for(settings, "agent")))
        for app in (
            create_evaluator_app(evaluator, settings),
            create_worker_app(WorkerService(database, model, NO_PACKAGES, 16), settings),
        ):
            await keeps_quick(app, ROLE_KEY, {})


async def test_every_route_has_an_entry(manager: tuple[FastAPI, Database]) -> None:
    found = list(operations(manager[0].openapi()))
    without = {str(one) for one in found if not one.takes_body}
    assert without == PLAIN | STORED
    assert {model_of(one) for one in found if one.takes_body} <= SPECIAL.keys()
