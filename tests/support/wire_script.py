"""One script of the official client, for any server of its wire: what came back, by step.

js/wire_script.mjs is the same script for the official JavaScript client.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Final
from uuid import uuid4

from langchain_core.runnables import RunnableConfig
from langgraph.pregel.remote import RemoteGraph
from langgraph_sdk import get_sync_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.schema import StreamMode

ASK = {"request": "Write is_leap_year(year): is a year of the Gregorian calendar a leap year?"}
MODES: Final[tuple[StreamMode, ...]] = (
    "values",
    "updates",
    "messages",
    "messages-tuple",
    "tasks",
    "checkpoints",
    "debug",
    "custom",
)

Results = dict[str, Any]


async def refused(asked: Awaitable[Any]) -> Any:
    """Return what comes back, or the status with which it is refused."""
    try:
        return await asked
    except Exception as error:
        return getattr(getattr(error, "response", None), "status_code", type(error).__name__)


async def played(client: LangGraphClient, url: str) -> Results:
    """Play the script; return what each step gave."""
    results: Results = {}

    async def step(name: str, asked: Awaitable[Any]) -> Any:
        results[name] = await refused(asked)
        return results[name]

    for part in _PARTS:
        await part(client, url, step)
    return results


async def cancelled(client: LangGraphClient) -> Results:
    """Cancel runs that a node keeps busy; return what stands as soon as `cancel` comes back."""
    results: Results = {}
    for action in ("interrupt", "rollback"):
        thread = (await client.threads.create())["thread_id"]
        run = (await client.runs.create(thread, "agent", input=ASK))["run_id"]
        await client.runs.cancel(thread, run, wait=True, action=action)
        results[f"{action}, waited for"] = await refused(client.runs.get(thread, run))
        results[f"thread after {action}"] = await client.threads.get(thread)
    return results


Step = Callable[[str, Awaitable[Any]], Awaitable[Any]]


async def _assistants(client: LangGraphClient, _: str, step: Step) -> None:
    found = await step("assistants.search", client.assistants.search(graph_id="agent"))
    await step("assistants.get", client.assistants.get(found[0]["assistant_id"]))
    await step("assistants.graph", client.assistants.get_graph(found[0]["assistant_id"]))
    schemas = client.assistants.get_schemas(found[0]["assistant_id"])
    await step("assistants.schemas", refused(schemas))
    await step("assistants.count", client.assistants.count(graph_id="agent"))
    await step("assistants.unknown", refused(client.assistants.get(str(uuid4()))))


async def _threads(client: LangGraphClient, _: str, step: Step) -> None:
    thread = await step("threads.create", client.threads.create(metadata={"a": 1}))
    await step("threads.get", client.threads.get(thread["thread_id"]))
    await step("threads.update", client.threads.update(thread["thread_id"], metadata={"b": 2}))
    await step("threads.search", client.threads.search(metadata={"b": 2}))
    await step("threads.state of none", client.threads.get_state(thread["thread_id"]))
    await step("threads.delete", client.threads.delete(thread["thread_id"]))
    await step("threads.get deleted", refused(client.threads.get(thread["thread_id"])))
    again = client.threads.create(thread_id=str(uuid4()), if_exists="do_nothing")
    await step("threads.create named", again)


async def _runs(client: LangGraphClient, _: str, step: Step) -> None:
    thread = (await client.threads.create())["thread_id"]
    run = await step("runs.create", client.runs.create(thread, "agent", input=ASK))
    await step("runs.join", client.runs.join(thread, run["run_id"]))
    await step("runs.get", client.runs.get(thread, run["run_id"]))
    await step("runs.list", client.runs.list(thread))
    await step("runs.list some", client.runs.list(thread, select=["run_id", "status"]))
    await step("runs.wait", client.runs.wait(thread, "agent", input=ASK))
    await step("threads.get run", client.threads.get(thread))
    await step("threads.copy", client.threads.copy(thread))
    await step("runs.delete", client.runs.delete(thread, run["run_id"]))
    await step("runs.get deleted", refused(client.runs.get(thread, run["run_id"])))
    nowhere = client.runs.create(str(uuid4()), "agent", input=ASK)
    await step("runs.create nowhere", refused(nowhere))
    made = client.runs.wait(str(uuid4()), "agent", input=ASK, if_not_exists="create")
    await step("runs.create with a thread", made)


async def _streams(client: LangGraphClient, _: str, step: Step) -> None:
    for mode in MODES:
        thread = (await client.threads.create())["thread_id"]
        stream = client.runs.stream(thread, "agent", input=ASK, stream_mode=mode)
        await step(f"stream {mode}", _all(stream))
    thread = (await client.threads.create())["thread_id"]
    both = client.runs.stream(thread, "agent", input=ASK, stream_mode=["values", "updates"])
    await step("stream both", _all(both))


async def _all(stream: Any) -> list[tuple[str, Any]]:
    return [(part.event, part.data) async for part in stream]


async def _stateless(client: LangGraphClient, _: str, step: Step) -> None:
    await step("stateless wait", client.runs.wait(None, "agent", input=ASK))
    stream = client.runs.stream(None, "agent", input=ASK, stream_mode="updates")
    await step("stateless stream", _all(stream))
    one: Any = {"assistant_id": "agent", "input": ASK}
    batch = client.runs.create_batch([one] * 2)
    await step("stateless batch", batch)


async def _busy(client: LangGraphClient, _: str, step: Step) -> None:
    thread = (await client.threads.create())["thread_id"]
    first = await client.runs.create(thread, "agent", input=ASK, after_seconds=30)
    rejected = client.runs.create(thread, "agent", input=ASK, multitask_strategy="reject")
    await step("reject", refused(rejected))
    await step("cancel", client.runs.cancel(thread, first["run_id"], wait=False))
    while (await client.runs.get(thread, first["run_id"]))["status"] in ("pending", "running"):
        await asyncio.sleep(0.1)
    await step("cancelled", client.runs.get(thread, first["run_id"]))
    await step("afterwards", client.runs.wait(thread, "agent", input=ASK))
    second = await client.runs.create(thread, "agent", input=ASK, after_seconds=30)
    await client.runs.cancel(thread, second["run_id"], wait=True, action="rollback")
    await step("rolled back", refused(client.runs.get(thread, second["run_id"])))


async def _strategies(client: LangGraphClient, _: str, step: Step) -> None:
    for strategy in ("interrupt", "rollback", "enqueue"):
        thread = (await client.threads.create())["thread_id"]
        late = 0 if strategy == "enqueue" else 30
        first = await client.runs.create(thread, "agent", input=ASK, after_seconds=late)
        then = client.runs.wait(thread, "agent", input=ASK, multitask_strategy=strategy)
        await step(f"{strategy} the other", then)
        await step(f"{strategy}, the first", refused(client.runs.get(thread, first["run_id"])))


async def _options(client: LangGraphClient, _: str, step: Step) -> None:
    for durability in ("sync", "async", "exit"):
        done = client.runs.wait(None, "agent", input=ASK, durability=durability)
        await step(f"durability {durability}", done)
    kept = client.runs.wait(None, "agent", input=ASK, on_completion="keep")
    await step("kept", kept)
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(
        thread, "agent", input=ASK, stream_mode=["updates", "values"], stream_resumable=True
    )
    joined = client.runs.join_stream(thread, run["run_id"], stream_mode=["updates"])
    parts = [each async for each in joined]
    await step("join_stream", asyncio.sleep(0, [(each.event, each.data) for each in parts]))
    await step("metadata", client.runs.wait(thread, "agent", input=ASK, metadata={"team": "x"}))
    await step("runs by status", client.runs.list(thread, status="success"))


async def _wrong(client: LangGraphClient, _: str, step: Step) -> None:
    thread = (await client.threads.create())["thread_id"]
    unknown = client.runs.create(thread, str(uuid4()), input=ASK)
    await step("no such assistant", refused(unknown))
    await step("no such thread", refused(client.threads.get_state(str(uuid4()))))
    await step("no such run", refused(client.runs.get(thread, str(uuid4()))))
    twice = client.threads.create(thread_id=thread)
    await step("such a thread is there", refused(twice))


async def _states(client: LangGraphClient, _: str, step: Step) -> None:
    thread = (await client.threads.create())["thread_id"]
    stopped = client.runs.wait(thread, "agent", input=ASK, interrupt_before=["worker"])
    await step("interrupted", stopped)
    await step("interrupted thread", client.threads.get(thread))
    state = await step("interrupted state", client.threads.get_state(thread))
    await step("state at", client.threads.get_state(thread, checkpoint=state["checkpoint"]))
    await step("gone on", client.runs.wait(thread, "agent", input=None))
    await step("history", client.threads.get_history(thread, limit=3))
    some = client.threads.get_history(thread, limit=3, select=["values.request"])
    await step("history some", some)
    updated = client.threads.update_state(thread, ASK, as_node="__start__")
    await step("updated", updated)
    await step("state updated", client.threads.get_state(thread))


async def _crons(client: LangGraphClient, _: str, step: Step) -> None:
    thread = (await client.threads.create())["thread_id"]
    yearly = "0 0 1 1 *"
    on_thread = client.crons.create_for_thread(thread, "agent", schedule=yearly, input=ASK)
    there = await step("crons.create_for_thread", on_thread)
    made = client.crons.create(
        "agent",
        schedule=yearly,
        input=ASK,
        metadata={"team": "x"},
        timezone="Europe/Berlin",
        end_time=datetime(2099, 1, 1, tzinfo=UTC),
        on_run_completed="keep",
    )
    cron, agent = itemgetter("cron_id", "assistant_id")(await step("crons.create", made))
    off = client.crons.update(cron, enabled=False, schedule="0 6 * * 1", metadata={"kind": "y"})
    await step("crons.update", off)
    await step("crons.update forever", client.crons.update(cron, end_time=None))
    await step("crons.search", client.crons.search(assistant_id=agent, limit=5))
    await step("crons.search some", client.crons.search(thread_id=thread, select=["schedule"]))
    await step("crons.count", client.crons.count(assistant_id=agent))
    await step("crons.delete on_thread", client.crons.delete(there["cron_id"]))
    await step("crons.delete", client.crons.delete(cron))
    await step("crons.delete again", refused(client.crons.delete(cron)))
    await step("crons.update deleted", refused(client.crons.update(cron, enabled=True)))
    soon = client.crons.create("agent", schedule="soon", input=ASK)
    await step("crons.create by no schedule", refused(soon))
    berlin = client.crons.create("agent", schedule=yearly, timezone="Berlin", input=ASK)
    await step("crons.create in no timezone", refused(berlin))
    nowhere = client.crons.create_for_thread(str(uuid4()), "agent", schedule=yearly, input=ASK)
    await step("crons.create nowhere", refused(nowhere))


async def _remote(client: LangGraphClient, url: str, step: Step) -> None:
    sync_client = get_sync_client(url=url)
    graph = RemoteGraph("agent", client=client, sync_client=sync_client)
    thread = RunnableConfig(configurable={"thread_id": str(uuid4())})
    await step("remote invoke", graph.ainvoke(ASK))
    await step("remote with a thread", graph.ainvoke(ASK, thread))
    state = await graph.aget_state(thread)
    await step("remote state", asyncio.sleep(0, {"next": list(state.next), **state.values}))
    nodes = [each async for each in graph.astream(ASK, stream_mode="updates")]
    await step("remote stream", asyncio.sleep(0, nodes))
    sync_client.http.client.close()


_PARTS = (
    _assistants,
    _threads,
    _runs,
    _streams,
    _stateless,
    _busy,
    _strategies,
    _options,
    _states,
    _wrong,
    _crons,
    _remote,
)
