"""The service as a process of its own, called over HTTP."""

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from bench.harness.processes import finished, selfheal, started
from selfheal.db import prompts, runs
from selfheal.db.pool import open_database

SAYS = r"serving on (http://\S+)"
ASK = {
    "assistant_id": "agent",
    "input": {
        "request": "Write is_leap_year(year) that tells whether a year of the Gregorian calendar"
        " is a leap year.",
        "examples": [{"call": "is_leap_year(2000)", "returns": "True"}],
    },
}


@pytest.fixture
async def client(service_env: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """Serve, and return a client of the service."""
    serving = started(*selfheal("serve", "--port", "0"), env=service_env, says=SAYS)
    async with serving as (_, url), httpx.AsyncClient(base_url=url, timeout=60) as opened:
        yield opened


async def test_a_request_gets_code_with_a_verdict(client: httpx.AsyncClient) -> None:
    answer = await client.post("/runs/wait", json=ASK)
    assert answer.status_code == 200
    result = answer.json()
    assert "def is_leap_year" in result["code"]
    assert result["evaluation"]["passed"]
    assert result["evaluation"]["execution"]["status"] == "ok"
    assert result["prompt_versions"] == {"manager": 1, "worker": 1, "evaluator": 1}
    row = (await client.get(f"/runs/{result['run_id']}")).json()
    assert row["outcome"] == "ok"
    assert row["model"] == "SIMULATED-gemini-3.8-flash"
    assert answer.headers["content-location"] == f"/threads/{row['thread_id']}/runs/{row['id']}"
    said = await client.post(f"/runs/{row['id']}/feedback", json={"passed": False, "comment": "c"})
    assert said.status_code == 201
    detail = (await client.get(f"/runs/{row['id']}")).json()
    assert [each["score"] for each in detail["feedback"]] == [0.0]


def asking(**fields: Any) -> dict[str, Any]:
    return {"assistant_id": "agent", "input": {"request": "add", **fields}}


BAD = [
    ("{", 422, "body"),
    ("[]", 422, "body"),
    (asking(request=""), 422, "input.request"),
    (asking(request="   "), 422, "input.request"),
    (asking(request="x" * 20_001), 422, "input.request"),
    (asking(request=7), 422, "input.request"),
    (asking(examples=[{"call": "1 +", "returns": "1"}]), 422, "input.examples.0.call"),
    (asking(examples=[{"call": "f()", "returns": "g()"}]), 422, "input.examples.0.returns"),
    (asking(examples=[{"call": "f()"}]), 422, "input.examples.0"),
    (asking(examples=[{"call": "f()", "raises": "a b"}]), 422, "input.examples.0.raises"),
    (asking(exampels=[]), 422, "input.exampels"),
    ({"assistant_id": "nobody", "input": {"request": "add"}}, 404, "assistant_id"),
    ({"input": {"request": "add"}}, 422, "assistant_id"),
    ({**asking(), "webhook": "https://app.example/hook"}, 422, "webhook"),
]


async def test_a_bad_request_is_refused_by_the_name_of_its_field(
    client: httpx.AsyncClient,
) -> None:
    for body, status, field in BAD:
        content = body if isinstance(body, str) else json.dumps(body)
        headers = {"content-type": "application/json"}
        answer = await client.post("/runs/wait", content=content, headers=headers)
        assert (answer.status_code, answer.json()["field"]) == (status, field)
        assert answer.json()["detail"].startswith(field)
    form = await client.post("/runs/wait", data={"assistant_id": "agent"})
    assert (form.status_code, form.json()["field"]) == (422, "body")
    assert "application/json" in form.json()["detail"]
    assert (await client.get("/runs")).json() == []


async def test_prompts_are_versioned_and_released_over_http(client: httpx.AsyncClient) -> None:
    text = "Braces {are} %s literal."
    added = await client.post("/prompts/worker/versions", json={"text": text, "parent": 1})
    assert (added.status_code, added.json()["version"]) == (201, 2)
    assert (await client.get("/prompts/worker")).json()["version"] == 1
    activated = await client.post("/prompts/worker/activate", json={"version": 2})
    assert activated.json()["action"] == "activate"
    assert (await client.get("/prompts/worker")).json()["text"] == text
    diff = await client.get("/prompts/worker/diff", params={"from": 1, "to": 2})
    assert f"+{text}" in diff.json()["diff"]
    assert (await client.post("/prompts/worker/rollback", json={})).json()["version"] == 1
    assert (await client.post("/prompts/worker/rollback", json={})).status_code == 404
    assert (await client.post("/prompts/worker/activate", json={"version": 9})).status_code == 404
    assert (await client.get("/prompts/nobody")).status_code == 422
    assert len((await client.get("/prompts")).json()) == 3


async def test_the_api_is_described_completely(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    receipt = _parts("Receipt", schemas)
    for name, schema in schemas.items():
        if name in receipt:  # its parts describe their fields together
            assert schema.get("description") or "enum" in schema, f"{name} is not described"
            continue
        for field, described in schema.get("properties", {}).items():
            assert described.get("description"), f"{name}.{field} is not described"
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], path
            assert operation["description"], path
            for parameter in operation.get("parameters", []):
                assert parameter["description"], f"{method} {path} {parameter['name']}"
            for code, response in operation["responses"].items():
                if code.startswith(("4", "5")) and "ready" not in path:
                    ref = response["content"]["application/json"]["schema"]["$ref"]
                    assert ref.endswith("/Problem"), f"{method} {path} {code}"


def _parts(name: str, schemas: dict[str, Any]) -> set[str]:
    """Return the names of a schema and of all that it refers to."""
    found, left = set[str](), {name}
    while left:
        found |= left
        text = json.dumps([schemas[each] for each in left])
        left = set(re.findall(r"#/components/schemas/(\w+)", text)) - found
    return found


async def test_nothing_recorded_is_lost_by_a_kill_under_load(
    service_env: dict[str, str], database_url: str
) -> None:
    command = selfheal("serve", "--port", "0")
    answered: list[str] = []

    async def ask(client: httpx.AsyncClient) -> None:
        while True:
            result = (await client.post("/runs/wait", json=ASK)).json()
            answered.append(result["run_id"])

    async with started(*command, env=service_env, says=SAYS) as (process, url):
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            added = await client.post("/prompts/worker/versions", json={"text": "kept"})
            asking = [asyncio.create_task(ask(client)) for _ in range(8)]
            while len(answered) < 20:
                await asyncio.sleep(0.05)
            os.killpg(process.pid, signal.SIGKILL)
            await asyncio.gather(*asking, return_exceptions=True)
    async with (
        started(*command, env=service_env, says=SAYS) as (_, url),
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        for run_id in answered:
            row = (await client.get(f"/runs/{run_id}")).json()
            assert row["outcome"] == "ok"
            assert row["evaluation"]["passed"]
        versions = (await client.get("/prompts/worker/versions")).json()
        assert added.json() in versions
        assert (await client.post("/runs/wait", json=ASK)).json()["evaluation"]["passed"]


async def test_a_lost_database_is_a_503_and_comes_back(service_env: dict[str, str]) -> None:
    address = service_env["DATABASE_URL"]
    async with open_database(address) as database, database.connection() as connection:
        row = await (await connection.execute("SELECT current_database() AS name")).fetchone()
    assert row is not None
    admin = address.replace(row["name"], "selfheal")
    serving = started(*selfheal("serve", "--port", "0"), env=service_env, says=SAYS)
    async with serving as (_, url), httpx.AsyncClient(base_url=url, timeout=60) as client:
        async with open_database(admin) as database, database.connection() as connection:
            name = row["name"]
            await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )
            answer = await client.get("/runs", timeout=30)
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
            assert (await client.get("/health/ready")).status_code == 503
            assert (await client.get("/health/live")).status_code == 200
            await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
        async with asyncio.timeout(30):
            while (await client.get("/health/ready")).status_code != 200:
                await asyncio.sleep(0.2)
        assert (await client.post("/runs/wait", json=ASK)).status_code == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_stopped_service_finishes_runs_in_flight(
    service_env: dict[str, str], database_url: str, number: int
) -> None:
    """A closed terminal tells it too."""
    command = selfheal("serve", "--port", "0")
    async with started(*command, env=service_env, says=SAYS) as (process, url):
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            asking = asyncio.create_task(client.post("/runs/wait", json=ASK))
            await _taken_in(database_url)
            process.send_signal(number)
            assert (await asking).status_code == 200
        assert await asyncio.wait_for(process.wait(), 20) == 0
    async with open_database(database_url) as database, database.connection() as connection:
        assert [row.status for row in await runs.recent(connection)] == ["success"]
        assert (await prompts.head(connection, "worker")).version == 1


async def _taken_in(database_url: str) -> None:
    async with open_database(database_url) as database, database.connection() as connection:
        while not await runs.recent(connection):
            await asyncio.sleep(0.01)


async def test_a_dead_langsmith_is_never_in_the_way(service_env: dict[str, str]) -> None:
    env = {
        **service_env,
        "LANGSMITH_TRACING": "true",
        "LANGSMITH_API_KEY": "none",
        "LANGSMITH_ENDPOINT": "http://127.0.0.1:1",
    }
    async with started(*selfheal("serve", "--port", "0"), env=env, says=SAYS) as (process, url):
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            assert (await client.post("/runs/wait", json=ASK)).status_code == 200
        process.terminate()
        begun = asyncio.get_running_loop().time()
        assert await process.wait() == 0
        assert asyncio.get_running_loop().time() - begun < 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, "Postgres cannot be reached"),
        ({"GOOGLE_API_KEY": ""}, "no model can be called: set GOOGLE_API_KEY"),
        ({"SELFHEAL_PASS_THRESHOLD": "high"}, "SELFHEAL_PASS_THRESHOLD"),
    ],
)
async def test_what_is_missing_at_the_start_is_said_in_one_line(
    service_env: dict[str, str], change: dict[str, str], words: str
) -> None:
    command = selfheal("serve", "--port", "0")
    code, out, err = await finished(*command, env={**service_env, **change})
    assert (code, out) == (2, "")
    # Beside the log of its start.
    refusals = [line for line in err.splitlines() if not line.startswith("{")]
    assert len(refusals) == 1
    assert words in refusals[0]


@pytest.mark.parametrize("arguments", [("--host", "0.0.0.0"), ("--port", "70000"), ("--prot", "1")])
async def test_bad_input_gets_one_line(
    service_env: dict[str, str], arguments: tuple[str, ...]
) -> None:
    code, _, err = await finished(*selfheal("serve", *arguments), env=service_env)
    assert code == 2
    assert len(err.strip().splitlines()) == 1
