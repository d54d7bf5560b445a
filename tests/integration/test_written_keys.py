"""Which keys of a thread's state a run wrote is read off the checkpoints, not off a node order."""

import contextlib
import operator
from typing import Annotated, Any, NotRequired, TypedDict
from uuid import UUID, uuid4

import pytest
from langgraph.graph import END, START, StateGraph

from selfheal.db import threads
from selfheal.db.checkpoints import PoolSaver
from selfheal.db.pool import Database


class Forked(TypedDict):
    """A state that two nodes write at the same time."""

    request: str
    fail: NotRequired[list[str]]
    left: NotRequired[str]
    right: NotRequired[str]
    joined: NotRequired[str]
    seen: Annotated[dict[str, int], operator.or_]


def parallel(database: Database) -> Any:
    """Return a graph with two parallel nodes; each fails if the input says so."""

    def node(name: str) -> Any:
        def run(state: Forked) -> dict[str, Any]:
            if name in state.get("fail", ()):
                raise ValueError(name)
            return {name: state["request"], "seen": {name: 1}}

        return run

    graph = StateGraph(Forked)
    for name in ("left", "right", "joined"):
        graph.add_node(f"write_{name}", node(name))
    graph.add_edge(START, "write_left")
    graph.add_edge(START, "write_right")
    graph.add_edge(["write_left", "write_right"], "write_joined")
    graph.add_edge("write_joined", END)
    return graph.compile(checkpointer=PoolSaver(database.pool))


async def execute(graph: Any, thread: UUID, given: Any, **options: Any) -> UUID:
    """Run the graph on a thread as a run of its own; return the run's id."""
    run_id = uuid4()
    config = {"configurable": {"thread_id": str(thread)}, "metadata": {"run_id": str(run_id)}}
    with contextlib.suppress(ValueError):
        await graph.ainvoke(given, config, **options)
    return run_id


async def written(database: Database, thread: UUID, run_id: UUID, *, has_input: bool) -> set[str]:
    async with database.connection() as connection:
        keys = await threads.written_keys(connection, thread, run_id, has_input=has_input)
    return keys & set(Forked.__annotations__)


@pytest.mark.parametrize("durability", ["sync", "exit"])
async def test_a_parallel_node_that_ended_counts_and_one_that_failed_does_not(
    database: Database, durability: str
) -> None:
    graph, thread = parallel(database), uuid4()
    first = await execute(graph, thread, {"request": "one", "fail": []}, durability=durability)
    whole = {"request", "fail", "left", "right", "joined", "seen"}
    assert await written(database, thread, first, has_input=True) == whole
    failing = {"request": "two", "fail": ["joined"]}
    second = await execute(graph, thread, failing, durability=durability)
    assert await written(database, thread, second, has_input=True) == whole - {"joined"}
    state = await graph.aget_state({"configurable": {"thread_id": str(thread)}})
    assert state.values["joined"] == "one", "left by the first run, and none of the second's"


async def test_a_run_without_input_has_what_its_thread_wrote_since_the_last_one(
    database: Database,
) -> None:
    graph, thread = parallel(database), uuid4()
    await execute(graph, thread, {"request": "one", "fail": []})
    second = await execute(graph, thread, {"request": "two"}, interrupt_before=["write_joined"])
    keys = {"request", "left", "right", "seen"}
    assert await written(database, thread, second, has_input=True) == keys
    third = await execute(graph, thread, None)
    assert await written(database, thread, third, has_input=False) == keys | {"joined"}
    await execute(graph, thread, {"request": "three", "fail": ["left"]})
    fourth = await execute(graph, thread, None)  # the left one fails again
    assert await written(database, thread, fourth, has_input=False) == {"request", "fail"}
