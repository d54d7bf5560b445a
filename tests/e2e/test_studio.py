"""LangGraph Studio's server on our graph: `langgraph dev`, driven by the official client."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk import get_client

from bench.harness.processes import started
from selfheal.db import runs
from selfheal.db.pool import open_database

ROOT = Path(__file__).parents[2]
ASK = {"request": "Write is_leap_year(year): is a year of the Gregorian calendar a leap year?"}


async def test_studio_runs_streams_and_remembers(
    service_env: dict[str, str], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    langgraph = Path(sys.executable).with_name("langgraph")
    config = str(ROOT / "langgraph.json")
    command = (str(langgraph), "dev", "--no-browser", "--no-reload", "--config", config)
    env = {**service_env, "LANGGRAPH_CLI_NO_ANALYTICS": "1", "PYTHONPATH": str(ROOT)}
    monkeypatch.chdir(ROOT)  # its paths are relative to where it is started
    port = str(20_000 + os.getpid() % 20_000)
    async with (
        started(*command, "--port", port, env=env, says="Application started up", seconds=90),
        get_client(url=f"http://127.0.0.1:{port}") as client,
    ):
        thread = await client.threads.create()
        parts = [
            part
            async for part in client.runs.stream(
                thread["thread_id"], "agent", input=ASK, stream_mode="updates"
            )
        ]
        nodes = [node for part in parts if part.event == "updates" for node in part.data]
        assert nodes == ["manager", "worker", "evaluator"], parts
        state = await client.threads.get_state(thread["thread_id"])
        values: Any = state["values"]
        assert values["evaluation"]["passed"]
        assert values["prompt_versions"]["worker"] == 1
        history = await client.threads.get_history(thread["thread_id"])
        assert len(history) >= 4
        looked: Any = await client.runs.wait(None, "optimizer", input={"agent": "worker"})
        assert looked["outcome"] == "healthy", looked
    async with open_database(database_url) as database, database.connection() as connection:
        query = "SELECT count(*) AS n FROM checkpoints WHERE thread_id = %s"
        row = await (await connection.execute(query, (thread["thread_id"],))).fetchone()
        assert row is not None
        assert row["n"] >= 4
        assert await runs.recent(connection) == []
