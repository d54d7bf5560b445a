"""What Postgres may answer to a write, and what each operation makes of it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import httpx
import psycopg
import pytest

from bench.harness.processes import selfheal, started
from tests.support.chaos import chaos_only
from tests.support.openapi_operations import Operation, operations

SAYS: Final = r"serving on (http://\S+)"
ASK: Final = {"assistant_id": "agent", "input": {"request": "Write add(a, b) that returns a sum."}}
BODIES: Final[dict[str, Any]] = {
    "POST /prompts/{agent}/activate": {"version": 1},
    "POST /prompts/{agent}/versions": {"text": "Write Python."},
    "POST /runs": ASK,
    "POST /runs/batch": [ASK],
    "POST /runs/cancel": {"status": "all"},
    "POST /runs/crons": {**ASK, "schedule": "@daily"},
    "POST /runs/stream": {**ASK, "on_completion": "keep"},
    "POST /runs/wait": {**ASK, "on_completion": "keep"},
    "POST /runs/{run_id}/feedback": {"passed": False},
    "POST /threads/{thread_id}/runs": ASK,
    "POST /threads/{thread_id}/runs/crons": {**ASK, "schedule": "@daily"},
    "POST /threads/{thread_id}/runs/stream": ASK,
    "POST /threads/{thread_id}/runs/wait": ASK,
    "POST /threads/{thread_id}/state": {"values": ASK["input"]},
    "PATCH /threads/{thread_id}": {"metadata": {"a": 1}},
    "PATCH /runs/crons/{cron_id}": {"enabled": False},
}
# What these write is a healing's, opened and paid for by steps, each with its own way on.
BY_STEPS: Final = {"POST /healings"}
# Whatever of ours is written to, but for the queue's own record of its workers.
WATCHED: Final = """
    SELECT format('CREATE TRIGGER condition BEFORE INSERT OR UPDATE OR DELETE ON %I'
                  ' FOR EACH STATEMENT EXECUTE FUNCTION condition()', tablename) AS statement
    FROM pg_tables WHERE schemaname = 'public' AND tablename !~ '^procrastinate_(workers|events)$'
"""
FUNCTION: Final = """
    CREATE OR REPLACE FUNCTION condition() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF nextval('conditions') <= {times} THEN
            RAISE EXCEPTION 'a condition' USING ERRCODE = '{state}';
        END IF;
        RETURN NULL;
    END $$
"""


@dataclass
class Server:
    """A service whose database answers writes with what a test wants."""

    client: httpx.AsyncClient
    admin: psycopg.AsyncConnection[Any]
    writing: list[Operation]

    async def answers(self, state: str, times: int) -> None:
        """Let the next so many writes end in an error of this SQLSTATE."""
        await self.admin.execute(FUNCTION.format(times=times, state=state).encode())
        await self.admin.execute("SELECT setval('conditions', 1, false)")

    async def met(self) -> int:
        """Return how many writes there were since."""
        row = await (
            await self.admin.execute("SELECT last_value, is_called FROM conditions")
        ).fetchone()
        assert row is not None
        return int(row[0]) if row[1] else 0

    async def call(self, one: Operation, ids: dict[str, str]) -> httpx.Response:
        body = {"json": BODIES.get(str(one), {})} if one.takes_body else {}
        return await self.client.request(one.method, one.url(**ids), **body)

    async def belongings(self) -> dict[str, str]:
        """Return a quiet thread with an ended run and a cron, made while all is well."""
        thread = (await self.client.post("/threads", json={})).json()["thread_id"]
        await self.client.post(f"/threads/{thread}/runs/wait", json=ASK)
        run = (await self.client.get(f"/threads/{thread}/runs")).json()[0]["run_id"]
        for each in (await self.client.post("/runs/crons/search", json={})).json():
            await self.client.delete(f"/runs/crons/{each['cron_id']}")  # there may be only so many
        cron = (await self.client.post("/runs/crons", json={**ASK, "schedule": "@daily"})).json()
        return {"thread_id": thread, "run_id": run, "cron_id": cron["cron_id"]}


@pytest.fixture(scope="module")
async def server(module_env: dict[str, str]) -> AsyncIterator[Server]:
    env = {**module_env, "SELFHEAL_OPTIMIZE_EVERY_SECONDS": "0"}
    async with (
        started(*selfheal("serve", "--port", "0"), env=env, says=SAYS) as (_, url),
        httpx.AsyncClient(base_url=url, timeout=60) as client,
        await psycopg.AsyncConnection.connect(env["DATABASE_URL"], autocommit=True) as admin,
    ):
        await admin.execute("CREATE SEQUENCE conditions")
        await admin.execute(FUNCTION.format(times=0, state="40001").encode())
        for (statement,) in await (await admin.execute(WATCHED)).fetchall():
            await admin.execute(statement)
        document = (await client.get("/openapi.json")).json()
        writing = [
            one
            for one in sorted(operations(document), key=str)
            if one.method != "GET" and one.is_built and str(one) not in BY_STEPS
        ]
        yield Server(client, admin, writing)


@pytest.mark.parametrize("state", ["40001", *chaos_only("40P01", "55P03")])
async def test_what_met_another_transaction_is_done_again(server: Server, state: str) -> None:
    wrong: dict[str, str] = {}
    written = 0
    for one in server.writing:
        ids = await server.belongings()
        await server.answers(state, 2)
        answer = await server.call(one, ids)
        written += await server.met() > 2
        await server.answers(state, 0)
        if answer.status_code >= 500:
            wrong[str(one)] = f"{answer.status_code}: {answer.text}"
    assert wrong == {}
    assert written > 20, "as many operations write"


CONDITIONS: Final = {
    "25006": "the database is read-only",
    "25P03": "the database took longer than its time limit",
    "40001": "the database had conflicting requests",
    "53100": "the database's disk is full",
    "53200": "the database has run out of resources",
    "53300": "the database cannot be reached",
    "55P03": "the database waited too long for a lock",
    "57014": "the database took longer than its time limit",
    "57P01": "the database cannot be reached",
    "58030": "the database cannot read or write its files",
}


@pytest.mark.parametrize("state", CONDITIONS)
async def test_what_does_not_pass_is_said_as_what_it_is(server: Server, state: str) -> None:
    ids = await server.belongings()
    wrong: dict[str, str] = {}
    refused = 0
    await server.answers(state, 10**9)
    try:
        for one in server.writing:
            answer = await server.call(one, ids)
            right = answer.headers.get("retry-after") == "5" and answer.json()["detail"] == (
                f"{CONDITIONS[state]}; try again in a few seconds"
            )
            if answer.status_code >= 500 and not right:
                wrong[str(one)] = f"{answer.status_code}: {answer.text}"
            refused += answer.status_code == 503
        assert wrong == {}
        assert refused > 15, "as many operations write"
        ready = await server.client.get("/health/ready")
        assert (ready.status_code, ready.json()["detail"]) == (503, CONDITIONS[state])
    finally:
        await server.answers(state, 0)
    assert (await server.client.get("/health/ready")).status_code == 200


async def test_what_is_no_passing_state_is_our_fault(server: Server) -> None:
    await server.answers("54000", 10**9)  # as for a value too long for an index
    try:
        answer = await server.client.post("/threads", json={})
    finally:
        await server.answers("54000", 0)
    assert answer.status_code == 500
    assert answer.json()["detail"] == "internal error; see the log"
