"""The official client's script on this server, and the same on `langgraph dev`.

What is compared is the shape: names of fields and events, statuses, kinds of values. Ours may say
more than theirs, never less, but for what is listed here with its reason.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client, get_sync_client

from bench.harness.processes import selfheal, started
from tests.conftest import control
from tests.support.javascript import installed, printed
from tests.support.wire_script import ASK, MODES, Results, cancelled, played

ROOT = Path(__file__).parents[2]
SAYS = r"serving on (http://\S+)"

# (a step's beginning, a part of the path): why it may differ.
MAY_DIFFER = {
    ("assistants.", "context"): "theirs is null where ours is empty",
    ("assistants.", "description"): "ours has one",
    ("assistants.schemas", ""): "theirs answers 500: it cannot describe the process's own context",
    ("runs.create", "status"): "ours may have begun by then",
    ("stateless batch", "status"): "ours may have begun by then",
    ("runs.delete", ""): "theirs answers 500, and the run is still there",
    ("runs.get deleted", ""): "theirs answers 500 to its deletion",
    ("rolled back", ""): "theirs needs a checkpointer of its own for it",
    ("rollback", ""): "theirs needs a checkpointer of its own for it",
    ("durability sync", ""): "theirs closes the connection after the refused rollback",
    ("", "kwargs"): "ours holds what was asked for, theirs also what the server added",
    ("", "config"): "ours has no settings of a thread",
    ("", "metadata"): "theirs adds its own versions, addresses and user",
    ("", "interrupts"): "an interruption before a node has nothing to tell",
    ("", "examples"): "how many the manager infers is its own affair",
    ("stream messages", ""): "in how many pieces a model answers is its own affair",
    ("history some", ""): "theirs ignores select: langgraph-api 0.16.7 does not read it",
    ("crons.", "user_id"): "ours is the tenant, theirs null without authentication",
    ("crons.", "payload"): "ours is the run alone, theirs the whole body and what the server added",
    ("interrupt", "values"): "how far the first had come is chance",
}


# The same of the two clients, on one server: two runs are never quite the same.
CLIENTS_DIFFER = {
    ("", "examples"): "how many the manager infers is its own affair",
    (
        "stream messages",
        "",
    ): "in how many pieces a model answers, and what ids they have, is its own",
    ("runs.create", "status"): "it may have begun by then",
    ("stateless batch", "status"): "they may have begun by then",
}


@pytest.fixture(scope="module")
async def url(module_env: dict[str, str]) -> AsyncIterator[str]:
    """Serve; yield the address."""
    env = {**module_env, "SELFHEAL_OPTIMIZE_EVERY_SECONDS": "0"}
    async with started(*selfheal("serve", "--port", "0"), env=env, says=SAYS) as (_, address):
        yield address


@pytest.fixture(scope="module")
async def results(url: str) -> Results:
    """Play the script with the Python client; return what each step gave."""
    async with get_client(url=url) as client:
        return await played(client, url)


async def test_the_official_clients_script_passes(url: str, results: Results) -> None:
    _sync(url)
    assert results["assistants.count"] >= 1
    for name in ("runs.wait", "runs.join", "stateless wait", "gone on", "remote invoke", "kept"):
        assert results[name]["evaluation"]["passed"], name
    for mode in MODES:
        assert results[f"stream {mode}"][0][0] == "metadata", mode
        assert not [event for event, _ in results[f"stream {mode}"] if event == "error"], mode
    assert [event for event, _ in results["join_stream"]] == [*["updates"] * 3, "end"]
    assert [each.keys() for each in results["runs.list some"]] == [{"run_id", "status"}]
    assert results["history some"][0] == {"values": {"request": ASK["request"]}}
    assert results["interrupted state"]["next"] == ["worker"]
    assert results["interrupted thread"]["status"] == "interrupted"
    assert results["cancelled"]["status"] == "interrupted"
    assert results["interrupt, the first"]["status"] == "interrupted"
    assert results["enqueue, the first"]["status"] == "success"
    gone = ("runs.get deleted", "threads.get deleted", "rolled back", "rollback, the first")
    unknown = ("no such assistant", "no such thread", "no such run", "runs.create nowhere")
    assert {name: results[name] for name in (*gone, *unknown)} == dict.fromkeys(
        (*gone, *unknown), 404
    )
    assert results["crons.update"]["metadata"] == {"team": "x", "kind": "y"}
    assert results["crons.search some"] == [{"schedule": "0 0 1 1 *"}]
    assert (results["crons.count"], results["crons.update deleted"]) == (2, 404)
    wrong = ("crons.create by no schedule", "crons.create in no timezone")
    assert {results[name] for name in wrong} == {422}
    assert (results["reject"], results["such a thread is there"]) == (409, 409)


async def test_the_javascript_client_gets_the_same(url: str, results: Results) -> None:
    folder = await asyncio.to_thread(installed)
    javascript = await printed(folder, "wire_script.mjs", url)
    assert {each for each in results if not each.startswith("remote ")} == javascript.keys()
    found = [
        (step, *each)
        for step in javascript
        for one, other in ((results, javascript), (javascript, results))
        for each in differences(shape(one[step]), shape(other[step]), "")
        if not any(step.startswith(name) and end in each[0] for name, end in CLIENTS_DIFFER)
    ]
    assert not found, "\n".join(map(str, found))


async def test_what_clients_send_is_honoured(url: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:

        async def asked(method: str, path: str, **sent: Any) -> Any:
            return (await client.request(method, path, **sent)).json()

        by_name = {"sort_by": "name", "sort_order": "asc", "select": ["name"]}
        names = await asked("POST", "/assistants/search", json=by_name)
        assert names == [{"name": "agent"}, {"name": "optimizer"}]
        assert len(await asked("POST", "/assistants/agent/versions", json={"limit": 5})) == 1
        assert await asked("POST", "/assistants/agent/versions", json={"offset": 1}) == []
        thread = (await asked("POST", "/threads", json={}))["thread_id"]
        later = {"assistantId": "agent", "assistant_id": "agent", "input": ASK, "afterSeconds": 600}
        older = {"checkpointDuring": False, "config": {"metadata": {"a": 1, "b": 1}}}
        batch = [{**later, **older, "metadata": {"b": 2}}]
        [run] = await asked("POST", "/runs/batch", json=batch)
        assert run["status"] == "pending"
        assert run["kwargs"]["durability"] == "exit"
        assert run["metadata"] == {"a": 1, "b": 2}
        some = {"select": ["next", "values.request"]}
        assert await asked("GET", f"/threads/{thread}/state", params=some) == {
            "next": [],
            "values": {},
        }
        for path, wrong in (
            ("/threads/search", {"select": ["nothing"]}),
            ("/assistants/search", {"select": ["nothing"]}),
            ("/runs/crons/search", {"select": ["nothing"]}),
            (f"/threads/{thread}/history", {"select": ["nothing"]}),
            ("/threads/search", {"extract": {"a": "values.request"}}),
            ("/runs", {"assistant_id": "agent", "input": ASK, "feedback_keys": ["x"]}),
            ("/runs", {"assistant_id": "agent", "input": ASK, "config": {"run_name": "x"}}),
        ):
            [field] = wrong.keys() & {"select", "extract", "feedback_keys", "config"}
            answer = await client.post(path, json=wrong)
            assert answer.status_code == 422, wrong
            assert answer.json()["field"].startswith(field), answer.text
        unknown = await client.get(f"/threads/{thread}/runs", params={"select": "nothing"})
        assert (unknown.status_code, unknown.json()["field"]) == (422, "select")


async def test_cancel_comes_back_once_the_run_has_ended(
    service_env: dict[str, str], gemini: str
) -> None:
    await control(gemini, latency_seconds=20)  # no run ends by itself
    env = {**service_env, "SELFHEAL_OPTIMIZE_EVERY_SECONDS": "0"}
    serving = started(*selfheal("serve", "--port", "0"), env=env, says=SAYS)
    async with serving as (_, url), get_client(url=url) as client:
        _has_ended(await cancelled(client))
        folder = await asyncio.to_thread(installed)
        _has_ended(await printed(folder, "wire_script.mjs", url, "cancel"))


def _has_ended(results: Results) -> None:
    assert results["interrupt, waited for"]["status"] == "interrupted"
    assert results["rollback, waited for"] == 404
    for action in ("interrupt", "rollback"):
        assert results[f"thread after {action}"]["status"] != "busy", action


@pytest.mark.chaos
async def test_the_same_comes_back_from_langgraphs_own_server(
    service_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    env = {**service_env, "SELFHEAL_OPTIMIZE_EVERY_SECONDS": "0"}
    serving = started(*selfheal("serve", "--port", "0"), env=env, says=SAYS)
    async with serving as (_, url), get_client(url=url) as client:
        ours = await played(client, url)
    monkeypatch.chdir(ROOT)  # its paths are relative to where it is started
    langgraph = str(Path(sys.executable).with_name("langgraph"))
    port = str(20_000 + (os.getpid() + 7) % 20_000)
    command = (langgraph, "dev", "--no-browser", "--no-reload", "--port", port)
    dev = {**service_env, "LANGGRAPH_CLI_NO_ANALYTICS": "1", "PYTHONPATH": str(ROOT)}
    there = f"http://127.0.0.1:{port}"
    running = started(*command, env=dev, says="Application started up", seconds=90)
    # It closes a connection over which it has answered 500.
    async with running, get_client(url=there, headers={"Connection": "close"}) as client:
        theirs = await played(client, there)
    found = [
        (step, *each)
        for step in theirs
        for each in differences(shape(theirs[step]), shape(unended(ours[step])), "")
        if not any(step.startswith(name) and end in each[0] for name, end in MAY_DIFFER)
    ]
    assert not found, "\n".join(map(str, found))


def _sync(url: str) -> None:
    with get_sync_client(url=url) as client:
        thread = client.threads.create()["thread_id"]
        result: Any = client.runs.wait(thread, "agent", input=ASK)
        assert result["evaluation"]["passed"]
        names = [part.event for part in client.runs.stream(thread, "agent", input=ASK)]
        assert names[0] == "metadata"


def unended(value: Any) -> Any:
    """Leave out a stream's `end`, which the client looks for and theirs does not send."""
    ended = isinstance(value, list) and value and value[-1] in (["end", None], ("end", None))
    return value[:-1] if ended else value


def shape(value: Any) -> Any:
    """Return what a value looks like: names stay, other texts and numbers become their kind."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [shape(each) for each in value]
    if isinstance(value, str) and value in _NAMES:
        return value
    if type(value) in (int, float):
        return "number"  # JSON has but one kind
    return type(value).__name__


_NAMES = {"pending", "running", "success", "error", "timeout", "interrupted", "idle", "busy"}
_NAMES |= {"manager", "worker", "evaluator", "__start__", "metadata", "values", "updates", "tasks"}
_NAMES |= {"checkpoints", "debug", "task", "task_result", "checkpoint", "end", "enqueue", "agent"}


def differences(theirs: Any, ours: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield where ours lacks or changes what theirs has, as (path, theirs, ours)."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key, each in theirs.items():
            if key not in ours:
                yield f"{path}.{key}", each, "missing"
            else:
                yield from differences(each, ours[key], f"{path}.{key}")
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for number, (one, other) in enumerate(zip(theirs, ours, strict=True)):
            yield from differences(one, other, f"{path}[{number}]")
    elif theirs != ours:
        yield path, theirs, ours
