"""What LangGraph's official clients can send is declared by our routes, or refused on purpose."""

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from unittest.mock import Mock

import pytest
from pydantic.alias_generators import to_snake

from selfheal.server.app import create_app
from selfheal.server.settings import read_settings
from tests.support.client_fields import Sent, of_python
from tests.support.javascript import installed, printed
from tests.support.openapi_operations import Operation, operations

_OF_RUNS = {"feedback_keys", "langsmith_tracer", "strict_resume"}
_RUNS = ("/runs", "/runs/wait", "/runs/stream")
_ON_THREADS = tuple(f"/threads/{{thread_id}}{each}" for each in _RUNS)

# What a client can send and no route takes: refused with 422. A new one belongs into a route, or
# here with its reason.
REFUSED: dict[str, set[str]] = {
    **dict.fromkeys((f"POST {each}" for each in (*_RUNS, *_ON_THREADS)), _OF_RUNS),
    # Their batches hold runs without threads; LangGraph's own server drops these silently.
    "POST /runs/batch": {*_OF_RUNS, "thread_id", "_langsmith_tracer"},
    "POST /threads": {"supersteps", "ttl"},  # a thread's states are its runs' alone; threads stay
    "PATCH /threads/{thread_id}": {"ttl"},
    "GET /threads/{thread_id}": {"include"},  # asks for the ttl
    "POST /threads/search": {"extract"},
    # There are no subgraphs whose events could be chosen, and a stream begins at Last-Event-ID.
    "GET /threads/{thread_id}/runs/{run_id}/stream": {"namespace", "checkpoint_id"},
    "POST /threads/{thread_id}/runs/{run_id}/cancel": {"reason"},
}
REFUSED["POST /runs/stream"] = REFUSED["POST /threads/{thread_id}/runs/stream"] = {
    *_OF_RUNS,
    "namespace",
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Mock(settings=read_settings()), Mock()).openapi()


async def test_all_that_the_python_client_sends_is_taken_or_refused(
    document: dict[str, Any],
) -> None:
    _hold(await of_python(), document)


async def test_all_that_the_javascript_client_sends_is_taken_or_refused(
    document: dict[str, Any],
) -> None:
    folder = await asyncio.to_thread(installed)
    every = [
        Sent(each["method"], each["path"], frozenset(each["query"]), frozenset(each["body"]))
        for each in await printed(folder, "fields.mjs")
        if not each["path"].startswith("/threads/null")  # a thread is left out only of runs
    ]
    assert len({(each.method, each.path) for each in every}) > 40
    # createBatch alone sends its fields as it was given them.
    batched = frozenset(to_snake(name) for each in every if _batch(each) for name in each.body)
    _hold([each._replace(body=batched) if _batch(each) else each for each in every], document)


def _batch(sent: Sent) -> bool:
    return sent.path == "/runs/batch"


def _hold(every: Iterable[Sent], document: dict[str, Any]) -> None:
    dropped = {f"{sent.method} {sent.path}": "no route" for sent in every}
    taken: dict[str, set[str]] = {}
    for sent in every:
        for one in operations(document):
            if one.method == sent.method and re.fullmatch(_pattern(one.path), sent.path):
                dropped.pop(f"{sent.method} {sent.path}", None)
                if one.is_built:
                    sent_names = taken.setdefault(str(one), set())
                    sent_names |= sent.query | sent.body
    assert not dropped
    by_name = {str(one): one for one in operations(document)}
    for name, names in taken.items():
        declared = _declared(by_name[name], document)
        unknown = names - declared - REFUSED.get(name, set())
        assert not unknown, f"{name} takes no {sorted(unknown)}"
        assert not declared & REFUSED.get(name, set()), name


def _pattern(path: str) -> str:
    """Return what a path matches; what is fixed elsewhere is no id."""
    return re.sub(
        r"{\w+}", r"(?!(?:search|count|prune|batch|cancel|crons|wait|stream)\\b)[^/]+", path
    )


def _declared(one: Operation, document: dict[str, Any]) -> set[str]:
    names = {each["name"] for each in one.described.get("parameters", []) if each["in"] == "query"}
    if not one.takes_body:
        return names
    schema = one.described["requestBody"]["content"]["application/json"]["schema"]
    schema = schema.get("items", schema)
    body = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return {*names, *body["properties"]}


# A checkpoint is sent back as it was answered: all of its fields but the id follow from the thread.
_OPEN = {"CheckpointBody", "ConfiguredCheckpoint"}


def test_no_body_has_fields_that_are_ignored(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    bodies = [one.described["requestBody"] for one in operations(document) if one.takes_body]
    needed, seen = [ref for each in bodies for ref in _references(each)], set()
    while needed:
        name = needed.pop()
        if name not in seen:
            seen.add(name)
            needed += _references(schemas[name])
    assert {"RunCreate", "ConfigBody", "CronPatch", "CancelBody"} <= seen
    open_ones = {
        name
        for name in seen
        if "properties" in schemas[name] and schemas[name].get("additionalProperties") is not False
    }
    assert open_ones <= _OPEN


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if "$ref" in schema:
            yield schema["$ref"].rpartition("/")[2]
        schema = schema.values()
    elif not isinstance(schema, list):
        return
    for each in schema:
        yield from _references(each)
