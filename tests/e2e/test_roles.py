"""The roles as processes of their own, calling each other over HTTP."""

import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from bench.harness.processes import finished, selfheal, started
from tests.conftest import control

SAYS = r"serving on (http://\S+)"
KEY = "a role key that nobody guesses"
ASK = {
    "assistant_id": "agent",
    "input": {
        "request": "Write is_leap_year(year) that tells whether a year is a leap year.",
        "examples": [{"call": "is_leap_year(2000)", "returns": "True"}],
    },
}


@dataclass
class Roles:
    """Each role's address, and its process."""

    urls: dict[str, str]
    processes: dict[str, Any]


@pytest.fixture
async def roles(service_env: dict[str, str]) -> AsyncIterator[Roles]:
    """Start worker, evaluator and manager, each with what it needs and no more."""
    async with AsyncExitStack() as stack:
        opened = Roles({}, {})
        keyed = {**service_env, "SELFHEAL_ROLE_KEY": KEY}
        evaluator = {name: keyed[name] for name in keyed if name != "DATABASE_URL"}
        evaluator["SELFHEAL_JUDGE_API_KEY"] = evaluator.pop("GOOGLE_API_KEY")

        async def start(role: str, env: dict[str, str]) -> None:
            command = selfheal("serve", "--role", role, "--port", "0")
            process, url = await stack.enter_async_context(started(*command, env=env, says=SAYS))
            opened.urls[role], opened.processes[role] = url, process

        await start("worker", keyed)
        await start("evaluator", evaluator)
        there = {
            "SELFHEAL_WORKER_URL": opened.urls["worker"],
            "SELFHEAL_EVALUATOR_URL": opened.urls["evaluator"],
        }
        await start("manager", {**keyed, **there})
        yield opened


async def test_a_run_goes_through_all_roles(roles: Roles, gemini: str) -> None:
    await only_roles_are_let_in(roles)
    async with httpx.AsyncClient(base_url=roles.urls["manager"], timeout=60) as client:
        result = (await client.post("/runs/wait", json=ASK)).json()
        assert result["evaluation"]["passed"], result
        row = (await client.get(f"/runs/{result['run_id']}")).json()
    assert row["evaluation"]["execution"]["backend"] != "elsewhere"
    assert (row["worker_version"], row["evaluator_version"]) == (1, 1)
    assert (row["model_calls"], row["model"]) == (3, "SIMULATED-gemini-3.8-flash")
    assert row["input_tokens"] > 0

    # What goes wrong elsewhere has the class that it has here.
    await control(gemini, faults=[{"kind": "truncation", "persona": "worker"}])
    async with httpx.AsyncClient(base_url=roles.urls["manager"], timeout=60) as client:
        failed = (await client.post("/runs/wait", json=ASK)).json()
        assert failed["__error__"]["error"] == "output", failed
        row = (await client.get(f"/runs/{failed['run_id']}")).json()
        assert row["worker_version"] == 1, "it is known under which prompt it failed"
    await control(gemini, faults=[])
    roles.processes["evaluator"].send_signal(signal.SIGKILL)
    async with httpx.AsyncClient(base_url=roles.urls["manager"], timeout=60) as client:
        failed = (await client.post("/runs/wait", json=ASK)).json()
    assert failed["__error__"]["error"] == "infrastructure", failed
    assert "the evaluator cannot be reached" in failed["__error__"]["message"]


async def only_roles_are_let_in(roles: Roles) -> None:
    bodies = {"worker": ("/execute", {"request": "add"})}
    bodies["evaluator"] = ("/evaluate", {"request": "add", "code": "def add(a, b): return a + b"})
    for role, (path, body) in bodies.items():
        async with httpx.AsyncClient(base_url=roles.urls[role], timeout=60) as client:
            assert (await client.post(path, json=body)).status_code == 401
            wrong = {"x-api-key": KEY[:-1]}
            assert (await client.post(path, json=body, headers=wrong)).status_code == 401
            answer = await client.post(path, json=body, headers={"x-api-key": KEY})
            assert answer.status_code == 200, answer.text
            assert int(answer.headers["x-model-calls"]) >= 1
    async with httpx.AsyncClient(base_url=roles.urls["worker"], timeout=60) as client:
        unknown = {"request": "add", "prompt_version": 77}
        answer = await client.post("/execute", json=unknown, headers={"x-api-key": KEY})
        assert answer.status_code == 404


async def test_a_runner_executes_what_others_take_in(service_env: dict[str, str]) -> None:
    command = selfheal("serve", "--role", "runner", "--port", "0")
    async with started(*command, env=service_env, says=SAYS) as (_, url):
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/health/ready")).status_code == 200
            assert (await client.post("/runs", json=ASK)).status_code == 404


@pytest.mark.parametrize("role", ["worker", "evaluator", "all"])
async def test_without_a_key_only_loopback_is_served(
    service_env: dict[str, str], role: str
) -> None:
    command = selfheal("serve", "--role", role, "--host", "0.0.0.0", "--port", "0")
    code, out, err = await finished(*command, env=service_env)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert "only a loopback address" in err
