"""What adds up is bounded: what is noted, what is listed, and what a tenant has stored."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
from psycopg.types.json import Jsonb

from bench.harness.processes import Process, selfheal, started
from selfheal.db import api_keys
from selfheal.db.paging import MOST_BYTES
from selfheal.db.pool import Database, open_database
from selfheal.db.run_requests import STREAM_MODES
from tests.support.openapi_operations import Operation, operations

SAYS: Final = r"serving on (http://\S+)"
ASK: Final[dict[str, Any]] = {
    "assistant_id": "agent",
    "input": {"request": "Write add(a, b) that returns a sum."},
}
TOO_MUCH: Final = {"resume": "y" * 17_000}
REQUIRED: Final = {**ASK, "schedule": "@daily", "metadata": {}, "checkpoint": {}}
MOST_OF_A_LIST: Final = 1000


@dataclass
class Server:
    """A service, what it says that it takes, and its database."""

    process: Process
    client: httpx.AsyncClient
    document: dict[str, Any]
    database: Database

    def memory(self) -> int:
        """Return the bytes that the process has in memory."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    async def fill(self, statement: str, *values: Any) -> None:
        async with self.database.connection() as connection:
            await connection.execute(statement.encode(), values)


@pytest.fixture(scope="module")
async def server(module_env: dict[str, str]) -> AsyncIterator[Server]:
    env = {**module_env, "SELFHEAL_OPTIMIZE_EVERY_SECONDS": "0"}
    async with (
        open_database(env["DATABASE_URL"], size=2) as database,
        started(*selfheal("serve", "--port", "0"), env=env, says=SAYS) as (process, url),
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        document = (await client.get("/openapi.json")).json()
        yield Server(process, client, document, database)


def bodies(document: dict[str, Any]) -> Iterator[tuple[Operation, dict[str, Any]]]:
    for one in operations(document):
        if one.takes_body:
            yield one, one.described["requestBody"]["content"]["application/json"]["schema"]


def parts(
    schema: dict[str, Any], known: dict[str, Any], place: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield every part of a schema with the names that lead to it."""
    if "$ref" in schema:
        schema = known[schema["$ref"].rsplit("/", 1)[-1]]
    yield place, schema
    for each in (*schema.get("anyOf", ()), *schema.get("allOf", ())):
        yield from parts(each, known, place)
    if "items" in schema:
        yield from parts(schema["items"], known, (*place, "[]"))
    for name, each in schema.get("properties", {}).items():
        yield from parts(each, known, (*place, name))


async def test_every_text_and_list_of_a_body_has_an_end(server: Server) -> None:
    known, endless = server.document["components"]["schemas"], set()
    for one, schema in bodies(server.document):
        for place, part in parts(schema, known):
            text = part.get("type") == "string" and not part.keys() & {
                *("maxLength", "format", "enum", "const", "pattern"),
            }
            many = part.get("type") == "array" and part.get("maxItems", 10**9) > MOST_OF_A_LIST
            if text or many:
                endless.add(f"{one}: {'.'.join(place)}")
    assert endless == set()


async def test_whatever_a_client_may_note_is_refused_when_it_is_too_much(server: Server) -> None:
    known, tried, wrong = server.document["components"]["schemas"], 0, {}
    cron = (await server.client.post("/runs/crons", json={**ASK, "schedule": "@daily"})).json()
    thread = (await server.client.post("/threads", json={})).json()
    ids = {"cron_id": cron["cron_id"], "thread_id": thread["thread_id"]}
    for one, schema in bodies(server.document):
        every = list(parts(schema, known))
        whole = next(part for _, part in every if "properties" in part)
        for place, part in every:
            free = part.get("type") == "object" and part.get("additionalProperties")
            if not free or len(place) != 1 + (place[0] == "[]"):
                continue
            required = whole.get("required", ())
            body: Any = {name: REQUIRED[name] for name in required} | {place[-1]: TOO_MUCH}
            body = [body] if place[0] == "[]" else body
            answer = await server.client.request(one.method, one.url(**ids), json=body)
            tried += 1
            if answer.status_code != 422 or place[-1] not in answer.json()["field"]:
                wrong[f"{one}: {place}"] = answer.text
    assert wrong == {}
    assert tried > 20


async def test_what_is_added_to_a_note_counts_with_what_is_there(server: Server) -> None:
    half = "y" * 9000
    thread = (await server.client.post("/threads", json={"metadata": {"a": half}})).json()
    path = f"/threads/{thread['thread_id']}"
    answer = await server.client.patch(path, json={"metadata": {"b": half}})
    assert (answer.status_code, answer.json()["field"]) == (422, "metadata")
    assert (await server.client.patch(path, json={"metadata": {"a": "b"}})).status_code == 200
    asked = {**ASK, "schedule": "@daily", "metadata": {"a": half}}
    cron = (await server.client.post("/runs/crons", json=asked)).json()
    path = f"/runs/crons/{cron['cron_id']}"
    answer = await server.client.patch(path, json={"metadata": {"b": half}})
    assert (answer.status_code, answer.json()["field"]) == (422, "metadata")


async def test_what_is_noted_of_a_run_is_kept_once(server: Server) -> None:
    mark = uuid4().hex
    thread = (await server.client.post("/threads", json={})).json()["thread_id"]
    body = {**ASK, "metadata": {"note": mark}, "stream_mode": list(STREAM_MODES)}
    answer = await server.client.post(f"/threads/{thread}/runs/stream", json=body)
    assert "event: end" in answer.text
    assert mark not in answer.text
    state = await server.client.get(f"/threads/{thread}/history")
    assert mark not in state.text
    async with server.database.connection() as connection:
        for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes", "run_events"):
            query = f"SELECT count(*) AS n FROM {table} WHERE {table}::text LIKE %s"
            row = await (await connection.execute(query.encode(), (f"%{mark}%",))).fetchone()
            assert row == {"n": 0}, table
    (run,) = (await server.client.get(f"/threads/{thread}/runs")).json()
    assert run["metadata"] == {"note": mark}


FAT: Final = 200_000  # bytes; random, so that Postgres cannot make them smaller
ROWS: Final = 90
# Lists whose rows are small or few by themselves.
FEW: Final = {
    "GET /healings",
    "GET /prompts",
    "GET /prompts/{agent}/releases",
    "POST /assistants/search",
    "POST /assistants/{assistant_id}/versions",
    "POST /runs/batch",
}
LISTS: Final[dict[str, tuple[str, str]]] = {
    "POST /threads/search": ("offset", "thread_id"),
    "POST /runs/crons/search": ("offset", "cron_id"),
    "GET /threads/{thread_id}/runs": ("offset", "run_id"),
    "GET /runs": ("before", "id"),
    "GET /threads/{thread_id}/history": ("before", "checkpoint_id"),
    "POST /threads/{thread_id}/history": ("before", "checkpoint_id"),
    "GET /prompts/{agent}/versions": ("offset", "version"),
}


async def test_every_list_is_cut_by_bytes_and_says_where_the_rest_begins(server: Server) -> None:
    listing = {str(one): one for one in operations(server.document) if answers_a_list(one)}
    assert listing.keys() == LISTS.keys() | FEW
    thread = await fat_rows(server)
    wrong = {}
    for name, (then, key) in LISTS.items():
        limit = 500 if name == "GET /runs" else 1000
        seen: list[Any] = []
        page: dict[str, Any] = {"limit": limit}
        while True:
            before = server.memory()
            way: dict[str, Any] = {"params": page} if name.startswith("GET") else {"json": page}
            one = listing[name]
            answer = await server.client.request(one.method, one.url(thread_id=thread), **way)
            rows = answer.json()
            seen += [row[key] for row in rows]
            if len(answer.content) > 3 * MOST_BYTES or server.memory() - before > 100 * 2**20:
                wrong[name] = f"{len(answer.content)} bytes"
            following = answer.headers.get("x-pagination-next")
            if following is None:
                break
            page[then] = int(following) if then == "offset" and "json" in way else following
        if len(seen) < ROWS or len(seen) != len(set(map(str, seen))):
            wrong[name] = f"{len(seen)} rows, {len(set(map(str, seen)))} different ones"
    assert wrong == {}


def answers_a_list(one: Operation) -> bool:
    described = one.described["responses"].get("200", {}).get("content", {})
    return bool(described.get("application/json", {}).get("schema", {}).get("type") == "array")


async def fat_rows(server: Server) -> str:
    """Store long rows of every kind; return the thread that runs and states are on."""
    fat, thread = os.urandom(FAT // 2).hex(), str(uuid4())
    some = f"generate_series(1, {ROWS}) AS number"
    values = Jsonb({"code": fat})
    await server.fill(
        "INSERT INTO threads (id, tenant, values) SELECT gen_random_uuid(), 'local', %s"
        f" FROM {some}",
        values,
    )
    await server.fill("INSERT INTO threads (id, tenant) VALUES (%s, 'local')", thread)
    await server.fill(
        "INSERT INTO runs (id, thread_id, assistant, status, outcome, finished_at, request, code,"
        " kwargs, created_at) SELECT gen_random_uuid(), %s, 'agent', 'success', 'ok', now(), 'r',"
        f" %s, %s, now() - number * interval '1 s' FROM {some}",
        thread,
        fat,
        values,
    )
    await server.fill(
        "INSERT INTO crons (id, tenant, assistant, schedule, payload, metadata, enabled)"
        f" SELECT gen_random_uuid(), 'local', 'agent', '@daily', %s, '{{}}', false FROM {some}",
        values,
    )
    await server.fill(
        "INSERT INTO prompts (agent, version, text, author, sha256)"
        f" SELECT 'worker', 100 + number, %s, 'test', '' FROM {some}",
        fat,
    )
    checkpoint = {"v": 4, "ts": "2026-11-27T00:00:00+00:00", "channel_values": {"code": fat}}
    checkpoint |= {"channel_versions": {"code": "1"}, "versions_seen": {}, "updated_channels": []}
    await server.fill(
        "INSERT INTO checkpoints (thread_id, checkpoint_id, type, checkpoint, metadata)"
        " SELECT %s, id, 'json', %s::jsonb || jsonb_build_object('id', id), '{\"step\": 1}'"
        f" FROM (SELECT lpad(number::text, 36, '0') AS id FROM {some}) AS made",
        thread,
        Jsonb(checkpoint),
    )
    return thread


# What deletes, ends or only reads.
FREE: Final = {
    "DELETE /runs/crons/{cron_id}",
    "DELETE /threads/{thread_id}",
    "DELETE /threads/{thread_id}/runs/{run_id}",
    "POST /runs/cancel",
    "POST /threads/{thread_id}/runs/{run_id}/cancel",
}
STORED: Final[dict[str, Any]] = {
    "POST /runs/batch": [ASK],
    "POST /runs/crons": {**ASK, "schedule": "@daily"},
    "POST /runs/{run_id}/feedback": {"passed": True},
    "POST /threads/{thread_id}/runs/crons": {**ASK, "schedule": "@daily"},
    "POST /threads/{thread_id}/state": {"values": ASK["input"]},
    "PATCH /threads/{thread_id}": {"metadata": {}},
    "POST /threads": {},
    "PATCH /runs/crons/{cron_id}": {},
    "POST /threads/{thread_id}/copy": None,
}


async def test_a_tenant_stores_only_so_much(service_env: dict[str, str]) -> None:
    env = {
        **service_env,
        "SELFHEAL_OPTIMIZE_EVERY_SECONDS": "0",
        "SELFHEAL_RATE_PER_MINUTE": "0",
        "SELFHEAL_TENANT_STORAGE_MB": "1",
    }
    async with (
        open_database(env["DATABASE_URL"], size=2) as database,
        started(*selfheal("serve", "--port", "0"), env=env, says=SAYS) as (_, url),
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        async with database.connection() as connection:
            _, full = await api_keys.create(connection, tenant="full")
            _, other = await api_keys.create(connection, tenant="other")
        mine = {"x-api-key": full}
        threads = []
        for _ in range(1000):
            noted = {"metadata": {"text": os.urandom(8000).hex()[:15_000]}}
            answer = await client.post("/threads", json=noted, headers=mine)
            if answer.status_code != 200:
                break
            threads.append(answer.json()["thread_id"])
        assert answer.status_code == 507, "at last it is full"
        assert "1 MB" in answer.json()["detail"]
        assert 60 < len(threads) < 600, "a megabyte of them, and those of a second"
        document = (await client.get("/openapi.json")).json()
        wrong = {}
        for one in operations(document):
            if one.scopes != {"runs:write"} or not one.is_built or str(one) in FREE:
                continue
            body = {"json": STORED.get(str(one), ASK)} if one.takes_body else {}
            path = one.url(thread_id=threads[0])
            answer = await client.request(one.method, path, headers=mine, **body)
            if answer.status_code != 507:
                wrong[str(one)] = answer.text
        assert wrong == {}
        answer = await client.post("/threads", json={}, headers={"x-api-key": other})
        assert answer.status_code == 200, "another tenant has room of its own"
        for thread in threads:
            deleted = await client.delete(f"/threads/{thread}", headers=mine)
            assert deleted.status_code == 204
        async with asyncio.timeout(10):
            while (await client.post("/threads", json={}, headers=mine)).status_code != 200:
                await asyncio.sleep(0.1)  # it is measured again before long
