"""The log of a real process: JSON, with its ids, and without a word of strangers or models."""

import json
import os
import pty
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg

from bench.harness.processes import selfheal, started
from bench.harness.scripted_model import Asked, agent_reply, serve_scripted_model

SAYS = r"serving on (http://\S+)"
REQUEST, PROMPT, CODE, KEY = "canary-request", "canary-prompt", "canary_code", "canary-key"
GOOD = f'def f() -> str:\n    """Say it."""\n    return "{CODE}"\n'


@asynccontextmanager
async def served(env: dict[str, str], log: Path | str) -> AsyncIterator[httpx.AsyncClient]:
    """Serve with standard error led into a file of its own."""
    apart = ("sh", "-c", 'exec "$@" 2> "$LOG"', "sh")
    command = (*apart, *selfheal("serve", "--port", "0"))
    async with started(*command, env={**env, "LOG": str(log)}, says=SAYS) as (_, url):
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            yield client


def ask(request: str, **more: Any) -> dict[str, Any]:
    return {"assistant_id": "agent", "input": {"request": f"{REQUEST} {request}", **more}}


def reply(asked: Asked) -> Any:
    """Answer well, with no code, or with a plan that does not fit its shape."""
    if "SPEECHLESS" in asked.text and not asked.fields:
        return f"I would rather talk about {CODE}."
    if "SHAPELESS" in asked.text and asked.fields:
        return {"title": [CODE], "requirements": CODE}
    return agent_reply(GOOD)(asked)


async def break_what_was_stored(url: str) -> None:
    """Leave a verdict that no process of ours would have written."""
    wrong = json.dumps({"score": CODE, "reasons": REQUEST})
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("UPDATE evaluations SET checks = %s", (wrong,))


async def test_every_line_is_json_with_its_ids_and_without_untrusted_text(
    service_env: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    async with serve_scripted_model(reply) as gemini, AsyncExitStack() as stack:
        env = {
            **service_env,
            "GOOGLE_API_KEY": KEY,
            "GOOGLE_GEMINI_BASE_URL": gemini.url,
            "SELFHEAL_OPTIMIZE_EVERY_SECONDS": "0",
        }
        client = await stack.enter_async_context(served(env, log))
        version = {"text": f"Write the program. {PROMPT}"}
        assert (await client.post("/prompts/worker/versions", json=version)).is_success
        assert (await client.post("/prompts/worker/activate", json={"version": 2})).is_success
        thread_id = (await client.post("/threads", json={})).json()["thread_id"]
        on_thread = f"/threads/{thread_id}/runs/wait"
        assert "code" in (await client.post(on_thread, json=ask("Write f()."))).json()
        wrong = [{"call": "f()", "returns": "1"}]
        named = {"x-request-id": "the-caller-s"}
        failed = await client.post("/runs/wait", json=ask("Fail.", examples=wrong), headers=named)
        await client.post("/runs/wait", json=ask("SPEECHLESS"))
        await client.post("/runs/wait", json=ask("SHAPELESS"))
        too_few = {**ask("Write f() again."), "config": {"recursion_limit": 1}}
        broken = await client.post(on_thread, json=too_few)
        assert broken.json()["__error__"]["message"] == "internal error; see the log"
        await break_what_was_stored(env["DATABASE_URL"])
        shown = await client.get(f"/runs/{failed.json()['run_id']}", headers=named)
        assert shown.status_code == 500
    text = log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    for canary in (REQUEST, PROMPT, CODE, KEY):
        assert canary not in text
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    ended = [line for line in lines if line["message"] == "run ended"]
    classes = [line["outcome"] for line in ended]
    assert classes == ["ok", "failed", "output", "output", "infrastructure"]
    assert [line["model_calls"] for line in ended] == [3, 2, 1, 0, 1]
    assert all(line["seconds"] > 0 and line["level"] == "info" for line in ended)
    assert ended[0]["thread_id"] == ended[4]["thread_id"] == thread_id
    assert ended[1]["run_id"] == failed.json()["run_id"]
    assert ended[1]["request_id"] == "the-caller-s"
    over_run, over_request = (line for line in lines if "exception" in line)
    assert over_run["run_id"] == ended[4]["run_id"] == broken.json()["run_id"]
    assert over_run["outcome"] == "infrastructure"
    assert over_run["exception"] == "GraphRecursionError"
    assert over_request["request_id"] == "the-caller-s"
    assert over_request["exception"].startswith("ValidationError")
    assert any("server/api/routes/runs.py" in each for each in over_request["at"])


async def test_caller_run_log_and_log_say_why_the_provider_refused(
    service_env: dict[str, str], tmp_path: Path
) -> None:
    log, location = tmp_path / "log", "User location is not supported"
    sent = f"{REQUEST} is the request that this test sends"

    def refuse(_: Asked) -> Any:
        message = f"{location}, {KEY}, '{sent}'"
        return 400, {"error": {"code": 400, "status": "FAILED_PRECONDITION", "message": message}}

    async with serve_scripted_model(refuse) as gemini:
        env = {**service_env, "GOOGLE_API_KEY": KEY, "GOOGLE_GEMINI_BASE_URL": gemini.url}
        async with served(env, log) as client:
            body = {"assistant_id": "agent", "input": {"request": sent}}
            answer = (await client.post("/runs/wait", json=body)).json()
            run = (await client.get(f"/runs/{answer['run_id']}")).json()
    said = answer["__error__"]
    assert said["error"] == "model"
    assert said["message"].endswith(f"refused the call: FAILED_PRECONDITION: {location}, …, '…'")
    assert run["message"] == said["message"]
    [ended] = [json.loads(line) for line in log.read_text().splitlines() if "run ended" in line]
    assert (ended["outcome"], ended["reason"]) == ("model", said["message"])
    assert KEY not in log.read_text()


async def test_a_terminal_gets_words_and_colour(service_env: dict[str, str]) -> None:
    mine, theirs = pty.openpty()
    try:
        async with served(service_env, os.ttyname(theirs)) as client:
            await client.post("/runs/wait", json=ask("Write is_leap_year(year)."))
        said = os.read(mine, 65_536).decode()
    finally:
        os.close(mine)
        os.close(theirs)
    assert "run ended" in said
    assert "\x1b[" in said
    assert not said.startswith("{")
