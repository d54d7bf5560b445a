"""Who may call what, and whose threads and runs they see: read from the API's own description."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import httpx
import pytest

from bench.harness.processes import finished, selfheal, started
from selfheal.db import api_keys
from selfheal.db.api_keys import SCOPES, Scope
from selfheal.db.pool import Database, open_database
from selfheal.server.app import create_app
from selfheal.server.settings import read_settings
from tests.support.openapi_operations import Operation, operations

SAYS = r"serving on (http://\S+)"
ASK = {"assistant_id": "agent", "input": {"request": "Write add(a, b) that returns the sum."}}
OPEN = {"GET /ok", "GET /info", "GET /health/live", "GET /health/ready"}
UNDESCRIBED = {"/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"}
BODIES: dict[str, dict[str, Any]] = {
    "POST /threads/{thread_id}/state/checkpoint": {"checkpoint": {}},
    "POST /threads/{thread_id}/state": {"values": ASK["input"]},
    "PATCH /threads/{thread_id}": {"metadata": {"stolen": True}},
    "POST /threads/{thread_id}/runs": ASK,
    "POST /threads/{thread_id}/runs/wait": ASK,
    "POST /threads/{thread_id}/runs/stream": ASK,
    "POST /threads/{thread_id}/runs/crons": {**ASK, "schedule": "@daily"},
    "PATCH /runs/crons/{cron_id}": {"enabled": False},
    "POST /runs/{run_id}/feedback": {"passed": False},
}


@dataclass
class House:
    """A service with keys, and what the tenant `owner` has there."""

    url: str
    database: Database
    client: httpx.AsyncClient
    document: dict[str, Any]
    secrets: dict[str, str] = field(default_factory=dict)
    thread: str = ""
    run: str = ""
    loose_thread: str = ""
    cron: str = ""

    async def key(self, name: str, *scopes: Scope, days: int | None = None) -> str:
        """Make a key of the tenant of this name; return its id."""
        async with self.database.connection() as connection:
            key, self.secrets[name] = await api_keys.create(
                connection, tenant=name, scopes=scopes, days=days
            )
        return key.id

    async def call(self, who: str | None, method: str, path: str, **more: Any) -> httpx.Response:
        headers = more.pop("headers", {})
        if who is not None:
            headers = {"x-api-key": self.secrets.get(who, who), **headers}
        return await self.client.request(method, path, headers=headers, **more)

    async def try_out(self, who: str | None, one: Operation, **ids: str) -> httpx.Response:
        body = {"json": BODIES.get(str(one), {})} if one.takes_body else {}
        return await self.call(who, one.method, one.url(**ids), **body)


@pytest.fixture(scope="module")
async def house(module_env: dict[str, str]) -> AsyncIterator[House]:
    """Serve with keys of every kind, and let the owner have a thread and two runs."""
    async with (
        open_database(module_env["DATABASE_URL"]) as database,
        started(*selfheal("serve", "--port", "0"), env=module_env, says=SAYS) as (_, url),
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        found = House(url, database, client, (await client.get("/openapi.json")).json())
        await _furnish(found)
        yield found


async def _furnish(house: House) -> None:
    await house.key("owner", "runs:read", "runs:write")
    await house.key("stranger", "admin")
    for scope in SCOPES:
        await house.key(f"only {scope}", scope)
        await house.key(f"not {scope}", *(set(SCOPES) - {scope, "admin"}))
    revoked = await house.key("revoked", "admin")
    expired = await house.key("expired", "admin", days=1)
    async with house.database.connection() as connection:
        await api_keys.revoke(connection, revoked)
        earlier = "UPDATE keys SET expires_at = clock_timestamp() - interval '1 s' WHERE id = %s"
        await connection.execute(earlier, (expired,))
    house.thread = (await house.call("owner", "POST", "/threads", json={})).json()["thread_id"]
    on_thread = await house.call("owner", "POST", f"/threads/{house.thread}/runs/wait", json=ASK)
    house.run = on_thread.json()["run_id"]
    loose = await house.call("owner", "POST", "/runs/wait", json=ASK)
    daily = await house.call("owner", "POST", "/runs/crons", json={**ASK, "schedule": "@daily"})
    house.cron = daily.json()["cron_id"]
    house.loose_thread = loose.headers["content-location"].split("/")[2]


async def test_every_operation_refuses_callers_without_permission(house: House) -> None:
    wrong: dict[str, int] = {}
    for one in operations(house.document):
        if str(one) in OPEN:
            if (await house.try_out(None, one)).status_code != 200:
                wrong[f"{one} without a key"] = 0
            continue
        (scope,) = one.scopes
        refusals = {None: 401, "wrong": 401, "revoked": 401, "expired": 401, f"not {scope}": 403}
        for who, status in refusals.items():
            answer = await house.try_out(who, one)
            if answer.status_code != status or answer.json()["request_id"] == "-":
                wrong[f"{one} as {who}"] = answer.status_code
        answer = await house.try_out(f"only {scope}", one)
        if answer.status_code in (401, 403):
            wrong[f"{one} as only {scope}"] = answer.status_code
    assert wrong == {}


async def test_nothing_is_served_beside_what_is_described(house: House) -> None:
    app = create_app(Mock(settings=read_settings()), Mock())
    everything = {route.path for route in app.routes if hasattr(route, "path")}
    assert everything - house.document["paths"].keys() <= UNDESCRIBED


async def test_a_key_is_taken_as_a_bearers_too(house: House) -> None:
    for given, status in ((house.secrets["owner"], 200), ("wrong", 401)):
        answer = await house.call(
            None, "GET", "/runs", headers={"authorization": f"Bearer {given}"}
        )
        assert answer.status_code == status


async def test_anothers_ids_are_answered_like_unknown_ones(house: House) -> None:
    before = await _belongings(house)
    own = (await house.call("stranger", "POST", "/threads", json={})).json()["thread_id"]
    wrong: dict[str, Any] = {}
    tried = 0
    for one in operations(house.document):
        if not one.ids & {"thread_id", "run_id", "cron_id"} or not one.is_built:
            continue
        ids = {"thread_id": house.thread, "run_id": house.run, "cron_id": house.cron}
        for real in (ids, {**ids, "thread_id": own} if "run_id" in one.ids else ids):
            made_up = {name: str(uuid4()) for name in real}
            theirs = _shape(await house.try_out("stranger", one, **real), real)
            unknown = _shape(await house.try_out("stranger", one, **made_up), made_up)
            tried += 1
            if theirs != unknown or theirs[0] != 404:
                wrong[str(one)] = (theirs, unknown)
    assert wrong == {}
    assert tried > 30
    assert await _belongings(house) == before


def _shape(answer: httpx.Response, ids: dict[str, str]) -> tuple[int, str]:
    """Return an answer without what differs between any two requests."""
    text = re.sub(r'"request_id":"\w+"', "", answer.text)
    for name, each in ids.items():
        text = text.replace(each, name)
    return answer.status_code, text


async def _belongings(house: House) -> list[Any]:
    thread = f"/threads/{house.thread}"
    paths = (f"/runs/{house.run}", thread, f"{thread}/history", f"/runs/crons/{house.cron}")
    answers = [await house.call("owner", "GET", path) for path in paths]
    assert [answer.status_code for answer in answers] == [200] * 4
    return [answer.json() for answer in answers]


async def test_lists_and_searches_show_ones_own_alone(house: House) -> None:
    async def sees(who: str) -> set[str]:
        found = [
            (await house.call(who, "GET", "/runs")).text,
            (await house.call(who, "POST", "/threads/search", json={"ids": [house.thread]})).text,
            (await house.call(who, "POST", "/runs/crons/search", json={})).text,
        ]
        return {each for each in (house.run, house.thread, house.cron) if each in "".join(found)}

    assert await sees("owner") == {house.run, house.thread, house.cron}
    assert await sees("stranger") == set()
    wanted: dict[str, Any] = {"status": "all", "thread_id": house.thread}
    assert (await house.call("stranger", "POST", "/runs/cancel", json=wanted)).status_code == 204
    wanted = {"run_ids": [house.run]}
    assert (await house.call("stranger", "POST", "/runs/cancel", json=wanted)).status_code == 404


async def test_an_id_that_is_taken_is_not_given_away(house: House) -> None:
    """Neither a thread's, nor that of a run without one, nor whatever has states of its own."""
    healing = str(uuid4())
    async with house.database.connection() as connection:
        await connection.execute(
            "INSERT INTO checkpoints (thread_id, checkpoint_id, checkpoint, metadata)"
            " VALUES (%s, 'c', '{}', '{}')",
            (healing,),
        )
    for taken in (house.thread, house.loose_thread, healing):
        for if_exists in ("raise", "do_nothing"):
            body = {"thread_id": taken, "if_exists": if_exists}
            answer = await house.call("stranger", "POST", "/threads", json=body)
            assert (answer.status_code, answer.json()["detail"]) == (
                409,
                f"there is a thread {taken} already",
            )
        path = f"/threads/{taken}/runs"
        ask = {**ASK, "if_not_exists": "create"}
        assert (await house.call("stranger", "POST", path, json=ask)).status_code == 404
        assert (await house.call("stranger", "GET", f"/threads/{taken}/state")).status_code == 404


async def test_an_idempotency_key_is_its_tenants(house: House) -> None:
    headers = {"idempotency-key": "once"}
    thread = (await house.call("owner", "POST", "/threads", json={})).json()["thread_id"]
    body = {**ASK, "multitask_strategy": "interrupt", "after_seconds": 600}

    async def ask(who: str, path: str) -> httpx.Response:
        return await house.call(who, "POST", path, json=body, headers=headers)

    first, *again = await asyncio.gather(*(ask("owner", f"/threads/{thread}/runs") for _ in "1234"))
    assert {each.json()["run_id"] for each in again} == {first.json()["run_id"]}
    # To ask again does not end the run that was asked for.
    listed = (await house.call("owner", "GET", f"/threads/{thread}/runs")).json()
    assert [each["status"] for each in listed] == ["pending"]
    assert (await ask("owner", "/runs")).status_code == 422
    other = (await ask("stranger", "/runs")).json()
    assert other["run_id"] != first.json()["run_id"]
    await house.call("owner", "POST", "/runs/cancel", json={"status": "all"})
    await house.call("stranger", "POST", "/runs/cancel", json={"status": "all"})


async def test_a_kept_run_that_is_asked_for_again_leaves_no_thread_behind(house: House) -> None:
    body = {**ASK, "on_completion": "keep", "after_seconds": 600}
    threads = (await house.call("owner", "POST", "/threads/count", json={})).json()
    for _ in range(3):
        headers = {"idempotency-key": "kept"}
        assert (await house.call("owner", "POST", "/runs", json=body, headers=headers)).is_success
    assert (await house.call("owner", "POST", "/threads/count", json={})).json() == threads + 1
    await house.call("owner", "POST", "/runs/cancel", json={"status": "all"})


async def test_a_body_of_any_length_is_counted_as_it_comes(house: House) -> None:
    async def stated() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield b" " * 2**20

    wrong: dict[str, int] = {}
    for one in operations(house.document):
        if not one.takes_body:
            continue
        for content in (b" " * (5 * 2**20), stated()):
            headers = {"content-type": "application/json"}
            answer = await house.call(
                "stranger", one.method, one.url(), content=content, headers=headers
            )
            if answer.status_code != 413 or answer.json()["field"] != "body":
                wrong[str(one)] = answer.status_code
            if "413" not in one.described["responses"]:
                wrong[str(one)] = 0
    assert wrong == {}


@pytest.mark.parametrize(
    ("given", "kept"),
    [("a-B_3.c", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ("a\tb", False)],
)
async def test_every_answer_names_its_request(house: House, given: str, kept: bool) -> None:
    for method, path in (("GET", "/ok"), ("GET", "/runs"), ("GET", "/nothing"), ("PUT", "/runs")):
        answer = await house.call(None, method, path, headers={"x-request-id": given})
        named = answer.headers["x-request-id"]
        assert (named == given) == kept
        if not kept:
            assert re.fullmatch("[0-9a-f]{32}", named)
        if answer.is_error:
            assert answer.json()["request_id"] == named


@pytest.fixture(scope="module")
async def beside(house: House, module_env: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """Serve once more on the same database, for five requests a minute and one other site."""
    env = {
        **module_env,
        "SELFHEAL_RATE_PER_MINUTE": "5",
        "SELFHEAL_CORS_ORIGINS": "https://app.example, http://localhost:3000",
    }
    serving = started(*selfheal("serve", "--port", "0"), env=env, says=SAYS)
    async with serving as (_, url), httpx.AsyncClient(base_url=url, timeout=60) as client:
        yield client


async def test_a_revoked_key_is_dead_at_once_in_every_process(
    house: House, beside: httpx.AsyncClient
) -> None:
    key_id = await house.key("passing", "runs:read")
    headers = {"x-api-key": house.secrets["passing"]}
    assert (await beside.get("/runs", headers=headers)).status_code == 200
    async with house.database.connection() as connection:
        await api_keys.revoke(connection, key_id)
    assert (await beside.get("/runs", headers=headers)).status_code == 401
    assert (await house.client.get("/runs", headers=headers)).status_code == 401


async def test_a_key_may_ask_so_often_and_no_more(house: House, beside: httpx.AsyncClient) -> None:
    await house.key("busy", "runs:read")
    await house.key("calm", "runs:read")
    busy = {"x-api-key": house.secrets["busy"]}
    answers = [await beside.get("/runs", headers=busy) for _ in range(7)]
    assert [each.status_code for each in answers] == [200] * 5 + [429] * 2
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert answers[-1].json()["request_id"] == answers[-1].headers["x-request-id"]
    calm = {"x-api-key": house.secrets["calm"]}
    assert (await beside.get("/runs", headers=calm)).status_code == 200
    # Who has no key is not counted, and each process counts for itself.
    assert {(await beside.get("/runs")).status_code for _ in range(9)} == {401}
    assert (await house.client.get("/runs", headers=busy)).status_code == 200


async def test_pages_of_named_sites_may_read_and_no_others(
    house: House, beside: httpx.AsyncClient
) -> None:
    asking = {"access-control-request-method": "POST"}
    wanted = "x-api-key, authorization, content-type, idempotency-key, last-event-id"
    asking["access-control-request-headers"] = wanted
    for origin, status in (("https://app.example", 200), ("https://evil.example", 400)):
        headers = {"origin": origin, **asking}
        answer = await beside.options("/runs", headers=headers)
        assert answer.status_code == status
        assert (answer.headers.get("access-control-allow-origin") == origin) == (status == 200)
        assert answer.headers["x-request-id"]
    answer = await beside.get("/runs", headers={"origin": "https://app.example"})
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    shown = answer.headers["access-control-expose-headers"].lower()
    assert set(re.split(", ?", shown)) >= {
        "content-location",
        "location",
        "x-request-id",
        "retry-after",
    }
    # Off unless somebody is named.
    off = await house.client.get("/ok", headers={"origin": "https://app.example"})
    assert "access-control-allow-origin" not in off.headers
    assert (await house.client.options("/runs", headers={"origin": "x", **asking})).is_error


async def test_without_keys_only_this_machine_is_served(service_env: dict[str, str]) -> None:
    serving = started(*selfheal("serve", "--port", "0"), env=service_env, says=SAYS)
    async with serving as (_, url), httpx.AsyncClient(base_url=url, timeout=60) as client:
        hosts = {
            "localhost": 200,
            "127.0.0.1:8000": 200,
            "[::1]:8000": 200,
            "evil.example": 421,
            "localhost.evil.example:8000": 421,
            "192.168.0.1": 421,
            "[": 421,
        }
        for host, status in hosts.items():
            assert (await client.get("/runs", headers={"host": host})).status_code == status, host
        origins = {
            "http://localhost:3000": 200,
            "http://127.0.0.1": 200,
            "https://evil.example": 403,
            "null": 403,
            "http://localhost.evil.example": 403,
        }
        for origin, status in origins.items():
            answer = await client.post("/threads", json={}, headers={"origin": origin})
            assert answer.status_code == status, origin
        code, secret, _ = await finished(
            *selfheal("keys", "create", "--scope", "admin", "--tenant", "local"), env=service_env
        )
        assert code == 0
        # From here on the key decides, and the Host is free.
        assert (await client.get("/runs")).status_code == 401
        headers = {"host": "selfheal.example", "x-api-key": secret.strip()}
        assert (await client.get("/runs", headers=headers)).status_code == 200
        found = await client.post("/threads/count", json={}, headers=headers)
        assert found.json() == 2


async def test_keys_are_made_listed_and_revoked_on_the_command_line(
    service_env: dict[str, str],
) -> None:
    async def run(*arguments: str) -> tuple[int, str, str]:
        return await finished(*selfheal("keys", *arguments), env=service_env)

    code, secret, said = await run("create", "--name", "ci", "--scope", "runs:read", "--days", "9")
    assert code == 0
    assert re.fullmatch(r"sh_[0-9a-f]{12}_[\w-]{43}\n", secret)
    assert "cannot be shown again" in said
    assert "no key has the scope admin" in said
    code, out, said = await run("create", "--scope", "admin", "--json")
    admin = json.loads(out)
    assert (code, said) == (0, "")
    assert admin["scopes"] == ["admin"]
    assert (await run("revoke", admin["id"]))[0] == 0
    code, out, _ = await run("list", "--json")
    first, second = json.loads(out)
    assert (first["name"], first["state"], second["state"]) == ("ci", "valid", "revoked")
    assert "secret" not in out
    code, out, _ = await run("list")
    assert code == 0
    assert first["id"] in out


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "--scope", "everything"),
        ("create", "--days", "0"),
        ("create", "--tenant", "a b"),
        ("revoke", "nobody"),
        ("revoke",),
    ],
)
async def test_bad_input_gets_one_line(
    service_env: dict[str, str], arguments: tuple[str, ...]
) -> None:
    code, out, err = await finished(*selfheal("keys", *arguments), env=service_env)
    assert (code, out) == (2, "")
    assert len(err.strip().splitlines()) == 1
