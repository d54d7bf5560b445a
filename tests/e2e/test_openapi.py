"""Whatever is sent, the service answers as its description says, and never breaks."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bench.harness.processes import selfheal, started
from tests.support.json_schema import arbitrary, values
from tests.support.openapi_operations import Operation, operations
from tests.support.webhook_receiver import SECRET

SAYS = r"serving on (http://\S+)"
REQUEST = {"request": "Write add(a, b) that returns the sum."}
ASK = {"assistant_id": "agent", "input": REQUEST, "after_seconds": 600}
LOCAL = {"content-type": "application/json"}
EXAMPLES = 15
RIGHT: dict[str, Any] = {
    **ASK,
    "values": REQUEST,
    "checkpoint": {},
    "score": 1,
    "text": "Literal.",
    "version": 1,
}
INNER = {
    "input": ("request", "examples"),
    "values": ("request", "examples"),
    "checkpoint": ("checkpoint_id",),
    "before": ("checkpoint_id", "configurable"),
    "metadata": ("any",),
}

# What JSON can say, and what databases, 64-bit integers and UTF-8 cannot.
BAD_VALUES = [
    '"\\u0000"',
    '"\\ud800"',
    '{"\\u0000": "\\udfff"}',
    "1e400",
    "NaN",
    "9" * 400,
    "-9223372036854775809",
    '"9999-99-99"',
    "[" * 500 + "]" * 500,
    '{"a":' * 500 + "1" + "}" * 500,
    "[]",
    '""',
    '"' + "x" * 100_000 + '"',
]
BAD_BODIES = [
    b"",
    b"{",
    b"\xff\xfe",
    b'"\xc3\x28"',
    b"[" * 200_000,
    b'{"a":' * 200_000,
    b"9" * 5000,
    b"null",
]
BAD_TEXTS = [
    "",
    "%00",
    "%FF",
    "-1",
    "9" * 30,
    "1e999",
    "NaN",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "%F0%9F%92%A9",
    "..%2f..",
    "x" * 3000,
]


@dataclass(frozen=True)
class RunningService:
    """A service without keys, with a thread and a run that were made by hand."""

    url: str
    document: dict[str, Any]
    ids: dict[str, str]


@pytest.fixture(scope="module")
async def served(module_env: dict[str, str]) -> AsyncIterator[RunningService]:
    """Serve, slowly and on little: it is what is refused that matters here."""
    env = {
        **module_env,
        "SELFHEAL_SANDBOX": "static",
        "SELFHEAL_MAX_CONCURRENCY": "1",
        "SELFHEAL_HEAL_BUDGET_CALLS": "1",
        "SELFHEAL_WEBHOOK_SECRET": SECRET,
    }
    serving = started(*selfheal("serve", "--port", "0"), env=env, says=SAYS)
    async with serving as (_, url), httpx.AsyncClient(base_url=url, timeout=60) as client:
        document = (await client.get("/openapi.json")).json()
        run = (await client.post("/runs/wait", json={**ASK, "after_seconds": 0})).json()
        thread = (await client.post("/threads", json={})).json()["thread_id"]
        await client.post(f"/threads/{thread}/state", json={"values": REQUEST})
        yield RunningService(url, document, {"thread_id": thread, "run_id": run["run_id"]})
        # Nothing of all this has harmed it.
        await client.post("/runs/cancel", json={"status": "all"})
        for agent in ("manager", "worker", "evaluator"):  # arbitrary bodies may have changed them
            await client.post(f"/prompts/{agent}/activate", json={"version": 1})
        for _ in range(30):  # what was asked for meanwhile is in the queue, and may come first
            again = await client.post("/runs/wait", json={**ASK, "after_seconds": 0})
            if "code" in again.json():
                break
            await asyncio.sleep(1)
        assert "code" in again.json(), again.text


def said_otherwise(one: Operation, status: int) -> bool:
    """Tell whether a status is one that the document does not have."""
    return str(status) not in one.described["responses"]


def shown(wrong: dict[str, Any]) -> str:
    return "\n".join(f"{value}: {key[:250]}" for key, value in wrong.items())


async def test_generated_requests_are_answered_as_described(served: RunningService) -> None:
    wrong: dict[str, str] = {}
    seen: Counter[int] = Counter()
    await asyncio.to_thread(_try_all, served, wrong, seen)
    assert not wrong, shown(wrong)
    assert {200, 201, 202, 204, 404, 422, 501} <= seen.keys()


def _try_all(served: RunningService, wrong: dict[str, str], seen: Counter[int]) -> None:
    with httpx.Client(base_url=served.url, timeout=30, headers=LOCAL) as client:
        for one in operations(served.document):
            _try_out(one, served, client, wrong, seen)


def _try_out(
    one: Operation,
    served: RunningService,
    client: httpx.Client,
    wrong: dict[str, str],
    seen: Counter[int],
) -> None:
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(_requests(one, served))
    def ask(sent: dict[str, Any]) -> None:
        with client.stream(one.method, **sent) as answer:
            seen[answer.status_code] += 1
            if said_otherwise(one, answer.status_code):
                wrong[str(one)] = f"{answer.status_code} {sent}"[:400]

    ask()


def _requests(one: Operation, served: RunningService) -> st.SearchStrategy[dict[str, Any]]:
    """Return requests: to the thread and run that there are, or to any."""
    parts: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}}
    for each in one.described.get("parameters", []):
        parts[each["in"]][each["name"]] = values(each["schema"], served.document)
    ids = st.fixed_dictionaries({k: v.map(_segment) for k, v in parts["path"].items()})
    if one.method != "DELETE" and one.ids & served.ids.keys():
        ids |= ids.map(lambda found: found | served.ids)
    rest: dict[str, st.SearchStrategy[Any]] = {
        "params": st.fixed_dictionaries({}, optional=parts["query"])
    }
    if parts["header"]:
        given_headers = {k: v.map(_header) for k, v in parts["header"].items()}
        rest["headers"] = st.fixed_dictionaries({}, optional=given_headers)
    if one.takes_body:
        schema = one.described["requestBody"]["content"]["application/json"]["schema"]
        rest["content"] = values(schema, served.document).map(json.dumps)
    return st.fixed_dictionaries({"url": ids.map(lambda found: one.url(**found)), **rest})


def _segment(value: Any) -> str:
    return quote(str(value), safe="", errors="replace") or "none"


def _header(value: Any) -> bytes:
    return quote(str(value), safe=" ", errors="replace").strip().encode()


async def test_values_that_cannot_be_stored_are_refused_or_repaired(served: RunningService) -> None:
    wrong: dict[str, int] = {}
    tried = {""}
    async with httpx.AsyncClient(base_url=served.url, timeout=60, headers=LOCAL) as client:
        for one in operations(served.document):
            if _schema(one) in tried:  # once is enough for what several operations take
                continue
            tried.add(_schema(one))
            for body in _bodies(one, served.document):
                async with client.stream(one.method, one.url(**served.ids), content=body) as answer:
                    if said_otherwise(one, answer.status_code):
                        wrong[f"{one} {body[:200]!r}"] = answer.status_code
    assert not wrong, shown(wrong)


def _schema(one: Operation) -> str:
    """Return the name of what an operation's body must be, empty if it takes none."""
    if not one.takes_body:
        return ""
    schema = one.described["requestBody"]["content"]["application/json"]["schema"]
    return str(schema.get("$ref", one)).rpartition("/")[2]


def _bodies(one: Operation, document: dict[str, Any]) -> Iterator[bytes]:
    """Yield bodies that are right but for one field, or for one value inside of it."""
    yield from BAD_BODIES
    fields = document["components"]["schemas"].get(_schema(one), {}).get("properties", {})
    for field in fields:
        right = {key: value for key, value in RIGHT.items() if key in fields and key != field}
        rest = json.dumps(right).removeprefix("{")
        comma = ", " if right else ""
        for value in BAD_VALUES:
            yield f'{{"{field}": {value}{comma}{rest}'.encode()
            for inner in INNER.get(field, ()):
                yield f'{{"{field}": {{"{inner}": {value}}}{comma}{rest}'.encode()


async def test_texts_of_paths_queries_and_headers_are_refused_or_repaired(
    served: RunningService,
) -> None:
    wrong: dict[str, int] = {}
    async with httpx.AsyncClient(base_url=served.url, timeout=60) as client:
        for one in operations(served.document):
            content: dict[str, Any] = {"json": {}} if one.takes_body else {}
            for url, headers in _addresses(one, served.ids):
                async with client.stream(one.method, url, headers=headers, **content) as answer:
                    if said_otherwise(one, answer.status_code):
                        wrong[f"{one.method} {url} {headers}"] = answer.status_code
    assert not wrong, shown(wrong)


async def test_query_parameters_that_no_route_takes_are_refused(served: RunningService) -> None:
    wrong: dict[str, int] = {}
    async with httpx.AsyncClient(base_url=served.url, timeout=60) as client:
        for one in operations(served.document):
            if not one.is_built:
                continue
            url, query = one.url(**served.ids), {"limitt": "1"}
            async with client.stream(one.method, url, params=query) as answer:
                said = await answer.aread() if answer.status_code == 422 else b"{}"
                if json.loads(said).get("field") != "limitt":
                    wrong[str(one)] = answer.status_code
    assert not wrong, shown(wrong)


def _addresses(one: Operation, ids: dict[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    for parameter in one.described.get("parameters", []):
        name = parameter["name"]
        for text in BAD_TEXTS:
            if parameter["in"] == "path" and text and "%2f" not in text:
                yield one.url(**{**ids, name: text}), {}
            elif parameter["in"] == "query":
                yield f"{one.url(**ids)}?{name}={text}", {}
            elif parameter["in"] == "header":
                yield one.url(**ids), {name: text}


async def test_an_empty_idempotency_key_is_refused_each_time(served: RunningService) -> None:
    async with httpx.AsyncClient(base_url=served.url, timeout=60) as client:
        for _ in range(2):
            answer = await client.post("/runs", json=ASK, headers={"idempotency-key": ""})
            assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")


@pytest.mark.parametrize("sent", [b"", b"-", b"--1", b"\xb2", b"1_0", b"9" * 30])
async def test_a_last_event_id_that_is_no_number_is_ignored(
    served: RunningService, sent: bytes
) -> None:
    async with httpx.AsyncClient(base_url=served.url, timeout=60) as client:
        run = (await client.get(f"/runs/{served.ids['run_id']}")).json()
        path = f"/threads/{run['thread_id']}/runs/{run['id']}/stream"
        answer = await client.get(path, headers={b"last-event-id": sent})
        assert (answer.status_code, "event: end" in answer.text) == (200, True)


# Values of headers, those that the document does not name among them.
HEADERS: dict[str, tuple[bytes, ...]] = {
    "content-type": (b"application/json", b"application/x+json; charset=\xff", b"text/plain", b""),
    "idempotency-key": (b"", b"a", b"\xb2", b"x" * 201),
    "last-event-id": (b"", b"-", b"--1", b"\xb2", b"9" * 30, b"-1"),
    "x-request-id": (b"", b"\xff", b"a b", b"x" * 65),
    "authorization": (b"", b"Bearer", b"Bearer \xff", b"Basic Og=="),
    "x-api-key": (b"", b"\xff", b"x" * 5_000),
    "langsmith-trace": (b"", b"x", b"20270101T000000000000Z", b"." * 100),
    "baggage": (b"=,=", b"langsmith-metadata=%ff", b"langsmith-metadata=[]"),
    "origin": (b"http://localhost", b"http://[", b"null"),
    "accept": (b"", b"*/*;q=x"),
    "cookie": (b"a=b", b"\xff;;="),
}


@pytest.mark.parametrize("many", [2_000, pytest.param(10_000, marks=pytest.mark.chaos)])
@pytest.mark.timeout(1_200)
async def test_arbitrary_bodies_and_headers_break_nothing(
    served: RunningService, many: int
) -> None:
    wrong: dict[str, int] = {}
    every = [each for each in operations(served.document) if each.method != "DELETE"]
    takers = [each for each in every if each.takes_body]
    dice = random.Random(15)

    async def ask(client: httpx.AsyncClient) -> None:
        one = dice.choice(takers if dice.random() < 0.9 else every)
        headers = {
            name: dice.choice(some) for name, some in HEADERS.items() if dice.random() < 0.15
        }
        content = b""
        if one.takes_body:
            schema = one.described["requestBody"]["content"]["application/json"]["schema"]
            content = json.dumps(arbitrary(dice, schema, served.document)).encode()
            headers.setdefault("content-type", b"application/json")
        sent: dict[str, Any] = {"headers": headers, "content": content}
        async with client.stream(one.method, one.url(**served.ids), **sent) as answer:
            refused = answer.status_code in (401, 403, 421)  # by the headers that are no parameters
            if said_otherwise(one, answer.status_code) and not refused:
                wrong[f"{one} {sent}"] = answer.status_code

    async def some() -> None:
        async with httpx.AsyncClient(base_url=served.url, timeout=60) as client:
            for _ in range(many // 4):
                await ask(client)

    await asyncio.gather(*(some() for _ in range(4)))
    assert not wrong, shown(wrong)
