"""Healing as an operator sees it: by itself, over HTTP, and from the command line."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from bench.harness.processes import finished, selfheal, started

SAYS = r"serving on (http://\S+)"
GREET = "Greet whoever asks: answer with a hello world program, nothing else."


def ask(year: int) -> dict[str, Any]:
    examples = [{"call": f"is_leap_year({year})", "returns": str(year % 4 == 0)}]
    manner = {2021: "please", 2022: "in Python", 2023: "in Python please"}.get(year, "")
    request = f"Write is_leap_year(year) {manner}, Gregorian calendar."
    return {"assistant_id": "agent", "input": {"request": request, "examples": examples}}


async def broken(client: httpx.AsyncClient) -> None:
    """Break the worker's prompt, as somebody does in a hurry."""
    await client.post("/prompts/worker/versions", json={"text": GREET})
    answer = await client.post("/prompts/worker/activate", json={"version": 2})
    assert answer.status_code == 200


async def until_closed(client: httpx.AsyncClient) -> dict[str, Any]:
    async with asyncio.timeout(90):
        while True:
            for healing in (await client.get("/healings")).json():
                if healing["outcome"]:
                    detail: dict[str, Any] = (await client.get(f"/healings/{healing['id']}")).json()
                    return detail
            await asyncio.sleep(0.2)


async def test_the_third_failure_heals_without_anybodys_help(service_env: dict[str, str]) -> None:
    async with (
        started(*selfheal("serve", "--port", "0"), env=service_env, says=SAYS) as (_, url),
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        await broken(client)
        for year in (2021, 2022, 2023):
            failed = (await client.post("/runs/wait", json=ask(year))).json()
            assert failed["evaluation"]["passed"] is False
        healing = await until_closed(client)
        assert (healing["outcome"], healing["trigger"]) == ("promoted", "failure")
        assert (healing["incumbent_version"], healing["to_version"]) == (2, 1)
        receipt = healing["receipt"]
        assert receipt["gates"][-1]["e_value"] >= 100
        assert len(receipt["trials"]) >= 30
        healed = (await client.post("/runs/wait", json=ask(2024))).json()
        assert healed["prompt_versions"]["worker"] == 1
        assert healed["evaluation"]["passed"] is True
        log = (await client.get("/prompts/worker/releases")).json()
        assert (log[0]["action"], log[0]["healing_id"]) == ("heal", healing["id"])


async def test_a_healing_can_be_asked_for_and_read(service_env: dict[str, str]) -> None:
    env = {**service_env, "SELFHEAL_OPTIMIZE_EVERY_SECONDS": "0"}
    async with (
        started(*selfheal("serve", "--port", "0"), env=env, says=SAYS) as (_, url),
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        healthy = await client.post("/healings", json={"agent": "worker"})
        assert (healthy.status_code, healthy.json()["outcome"]) == (202, "healthy")
        assert (await client.post("/healings", json={"agent": "nobody"})).status_code == 422
        await broken(client)
        for year in (2021, 2022, 2023):
            await client.post("/runs/wait", json=ask(year))
        begun = (await client.post("/healings", json={"agent": "worker"})).json()
        assert begun["outcome"] is None
        healing = await until_closed(client)
        assert healing["id"] == begun["healing_id"]
        assert (await client.get(f"/healings/{begun['agent']}")).status_code == 422
    code, out, _ = await finished(*selfheal("healings", "list", "--json"), env=env)
    assert [each["outcome"] for each in json.loads(out)] == ["promoted"]
    code, out, _ = await finished(*selfheal("healings", "show", healing["id"]), env=env)
    assert code == 0
    assert out.startswith("# Healing of the worker: promoted")
    assert "````diff" in out


async def test_optimize_prints_one_json_line(service_env: dict[str, str]) -> None:
    code, out, _ = await finished(*selfheal("optimize"), env=service_env)
    assert code == 0
    line = json.loads(out)
    assert (line["agent"], line["outcome"], line["healing_id"]) == (None, "healthy", None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("optimize", "--agent", "nobody"), "'nobody' is not"),
        (("healings", "show", "01a20000-0000-7000-8000-000000000000"), "there is no healing"),
        (("healings", "show", "x"), "not a valid UUID"),
        (("demo", "--cycles", "0"), "--cycles"),
    ],
)
async def test_bad_input_is_one_line(
    service_env: dict[str, str], arguments: tuple[str, ...], words: str
) -> None:
    code, out, err = await finished(*selfheal(*arguments), env=service_env)
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.strip().splitlines()) == 1


async def test_a_person_decides_over_http(service_env: dict[str, str]) -> None:
    env = {**service_env, "SELFHEAL_ROLLOUT": "manual"}
    async with (
        started(*selfheal("serve", "--port", "0"), env=env, says=SAYS) as (_, url),
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        await broken(client)
        for year in (2021, 2022, 2023):
            await client.post("/runs/wait", json=ask(year))
        healing = await until_closed(client)
        assert healing["outcome"] == "needs_approval"
        assert (await client.get("/prompts/worker")).json()["version"] == 2
        word = f"/healings/{healing['id']}"
        approved = await client.post(f"{word}/approve", json={"at_once": True, "note": "seen"})
        assert approved.status_code == 200, approved.text
        told = approved.json()
        assert (told["version"], told["percent"], told["note"]) == (1, 100, "seen")
        assert (await client.get("/prompts/worker")).json()["version"] == 1
        again = await client.post(f"{word}/reject")
        assert (again.status_code, "nothing to decide" in again.json()["detail"]) == (409, True)
        held = (await client.post("/healings/pause", json={"reason": "moving house"})).json()
        assert (held["paused"], held["reason"], held["actor"]) == (True, "moving house", "api")
        asked = (await client.post("/healings", json={"force": True})).json()
        assert (asked["outcome"], "moving house" in asked["reason"]) == ("paused", True)
        assert (await client.post("/healings/resume", json={})).json()["paused"] is False
