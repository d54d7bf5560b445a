"""What LangGraph's official clients can send: every method called with every argument."""

import inspect
import itertools
import json
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import httpx
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.schema import RunCreate

_ID = "00000000-0000-4000-8000-000000000000"
_PARTS = ("assistants", "threads", "runs", "crons", "store")
# Not of the wire, or free for what a caller adds by itself.
_LEFT_OUT = {"headers", "params", "on_run_created", "raise_error", "version"}
_LEFT_OUT |= {"response_format", "return_minimal"}
_VALUES: dict[str, Any] = {
    "command": {"resume": 1},
    "end_time": datetime(2099, 1, 1, tzinfo=UTC),
    "metadata": {"a": 1},
    "namespace": ["a"],
    "namespace_prefix": ["a"],
    "payloads": [dict.fromkeys(RunCreate.__annotations__, "x")],
    "supersteps": [{"updates": [{"values": {}, "as_node": "x"}]}],
    "timezone": "Europe/Berlin",
    "values": {"a": 1},
    "wait": True,
}


class Sent(NamedTuple):
    """A request: its method, its path, and the names in its query and in its body."""

    method: str
    path: str
    query: frozenset[str]
    body: frozenset[str]


async def of_python() -> set[Sent]:
    """Return what the Python client sends."""
    sent: set[Sent] = set()

    def record(request: httpx.Request) -> httpx.Response:
        sent.add(_sent(request))
        if request.url.path.endswith("/stream"):
            kind = {"content-type": "text/event-stream"}
            return httpx.Response(200, text="event: end\ndata: null\n\n", headers=kind)
        return httpx.Response(200, json={"items": []})

    transport = httpx.MockTransport(record)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as http:
        client = LangGraphClient(http)
        for part in _PARTS:
            for name, method in inspect.getmembers(getattr(client, part), inspect.ismethod):
                # A stream of the newer protocol is an object with requests of its own.
                if not name.startswith("_") and (part, name) != ("threads", "stream"):
                    before = len(sent)
                    with warnings.catch_warnings():  # what is deprecated is sent all the same
                        warnings.simplefilter("ignore", DeprecationWarning)
                        await _called(method)
                    assert len(sent) > before, f"{part}.{name} sent nothing"
    return sent


def _sent(request: httpx.Request) -> Sent:
    body = json.loads(request.content or "null") or {}
    bodies = body if isinstance(body, list) else [body]
    names = frozenset(name for each in bodies for name in each)
    return Sent(request.method, request.url.path, frozenset(request.url.params), names)


async def _called(method: Any) -> None:
    for arguments in _arguments(method):
        answer = method(*arguments.args, **arguments.kwargs)
        if inspect.isawaitable(answer):
            answer = await answer
        if hasattr(answer, "__aiter__"):
            async for _ in answer:
                pass


def _arguments(method: Any) -> Iterator[inspect.BoundArguments]:
    """Yield all arguments, and all but each two: some decide where a request goes."""
    signature = inspect.signature(method)
    every = signature.parameters
    optional = {name for name in every if every[name].default is not inspect.Parameter.empty}
    names = [name for name in every if name not in _LEFT_OUT & optional]
    optional &= set(names)
    given = {name: _VALUES.get(name, _ID if name.endswith("_id") else "x") for name in names}
    pairs = itertools.combinations_with_replacement(sorted(optional), 2)
    for left_out in itertools.chain([()], pairs):
        yield _bound(signature, {name: given[name] for name in names if name not in left_out})
    if "thread_id" in names and "None" in str(every["thread_id"].annotation):
        yield _bound(signature, {**given, "thread_id": None})


def _bound(signature: inspect.Signature, given: dict[str, Any]) -> inspect.BoundArguments:
    bound = signature.bind_partial()
    bound.arguments.update({name: given[name] for name in signature.parameters if name in given})
    return bound
