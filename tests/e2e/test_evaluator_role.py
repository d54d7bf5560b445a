"""The evaluator as a process of its own: no database, no worker's key, strangers' programs."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.harness.processes import Process, clean_environment, finished, selfheal, started
from tests.conftest import control

SAYS = r"serving on (http://\S+) \(role evaluator"
GOOD = 'def add(a: int, b: int) -> int:\n    """Add."""\n    return a + b\n'
STATED = [{"call": "add(2, 3)", "returns": "5"}]
HOSTILE = {
    "endless": "while True: pass",
    "fork bomb": "import os\nwhile True: os.fork()",
    "memory": "x = bytearray(4 * 2**30)",
    "threads": "import threading, time\nwhile True:\n"
    "    threading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
    "output": "while True: print('x' * 100_000)",
    "files": "n = 0\nwhile True:\n    open(str(n), 'w').close()\n    n += 1",
    "exit": "import os\nos._exit(0)",
    "forged": "import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'[\"end\"]\\n')\n"
    "    except OSError: pass",
    "crash": "import ctypes\nctypes.string_at(0)",
    "always equal": "class A:\n    def __eq__(self, other): return True\n"
    "    __hash__ = None\ndef add(a, b): return A()",
    "nested": "(" * 300_000,
    "long": "f'" + "{a}" * 150_000 + "'",
    "key": "import os\nraise SystemExit(str(dict(os.environ)))",
    "no text": "\0",
    "empty": "",
}


@pytest.fixture
def role_env(gemini: str, tmp_path: Path) -> dict[str, str]:
    return clean_environment(
        SELFHEAL_JUDGE_API_KEY="the-judges-key",
        GOOGLE_GEMINI_BASE_URL=gemini,
        DATABASE_URL="postgresql://127.0.0.1:1/nowhere",
        SELFHEAL_DATA_DIR=str(tmp_path / "never"),
        SELFHEAL_MODEL_TIMEOUT_SECONDS="10",
    )


@pytest.fixture
async def evaluator(
    role_env: dict[str, str],
) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    command = selfheal("serve", "--role", "evaluator", "--port", "0")
    async with started(*command, env=role_env, says=SAYS) as (process, url):
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            yield process, client


Evaluator = tuple[Process, httpx.AsyncClient]


def asking(code: str = GOOD, **fields: Any) -> dict[str, Any]:
    return {"request": "Write add(a, b).", "examples": STATED, "code": code, **fields}


async def test_a_program_gets_its_verdict_without_a_database(
    evaluator: Evaluator, tmp_path: Path
) -> None:
    _, client = evaluator
    answer = await client.post("/evaluate", json=asking())
    assert answer.status_code == 200
    verdict = answer.json()
    assert verdict["execution"]["status"] == "ok"
    assert {each["name"]: each["score"] for each in verdict["checks"]}["examples"] == 1
    assert verdict["passed"]
    assert not (tmp_path / "never").exists()
    half = [*STATED, {"call": "add(2, 2)", "returns": "5"}]
    broken = (await client.post("/evaluate", json=asking(examples=half))).json()
    assert {each["name"]: each["score"] for each in broken["checks"]}["examples"] == 0.5
    assert (broken["passed"], broken["llm_score"]) == (False, None)


async def test_the_plan_and_the_judges_prompt_of_the_caller_count(evaluator: Evaluator) -> None:
    _, client = evaluator
    plan = {
        "signature": "def plus(a, b)",
        "examples": [
            {"call": "add(1, 1)", "returns": "3"},  # inferred: it only counts
            {"call": "add(2, 3)", "returns": "6"},  # stated otherwise in the request
        ],
    }
    lenient = {"version": 7, "text": "You are kind. Pass everything, always, with full marks."}
    answer = await client.post("/evaluate", json=asking(plan=plan, judge_prompt=lenient))
    scores = {each["name"]: each["score"] for each in answer.json()["checks"]}
    assert (scores["defines"], scores["examples"], scores["inferred_examples"]) == (0, 1, 0)
    plain = await client.post("/evaluate", json=asking(plan=plan))
    assert answer.json()["llm_score"] != plain.json()["llm_score"]


async def test_hostile_programs_get_a_verdict_and_the_role_does_not_notice(
    evaluator: Evaluator,
) -> None:
    process, client = evaluator
    await client.post("/evaluate", json=asking())
    before = memory(process.pid)

    async def judged(name: str) -> dict[str, Any]:
        answer = await client.post(
            "/evaluate",
            content=json.dumps(asking(HOSTILE[name])),  # halves of surrogate pairs go only so
            headers={"content-type": "application/json"},
        )
        assert answer.status_code == 200, (name, answer.text)
        verdict: dict[str, Any] = answer.json()
        assert not verdict["passed"], name
        assert verdict["reasons"], name
        assert "the-judges-key" not in answer.text
        return verdict

    async def alive() -> float:
        slowest = 0.0
        for _ in range(20):
            slowest = max(slowest, (await client.get("/health/live")).elapsed.total_seconds())
            await asyncio.sleep(0.1)
        return slowest

    judging = asyncio.gather(*map(judged, HOSTILE))
    slowest = await alive()
    await judging
    assert slowest < 3
    assert (await client.post("/evaluate", json=asking())).json()["passed"]
    assert process.returncode is None
    assert memory(process.pid) < before + 200 * 2**20


def memory(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


BAD = [
    (asking(request=""), 422, "request"),
    ({"request": "x"}, 422, "code"),
    ({**asking(), "code": 7}, 422, "code"),
    (asking(code="x" * 1_000_001), 422, "code"),
    (asking(code="x" * 5_000_000), 413, "body"),
    (asking(plan={"examples": [{"call": "1 +", "returns": "1"}]}), 422, "plan.examples.0.call"),
    (asking(plan={"signature": "x" * 2001}), 422, "plan.signature"),
    (asking(judge_prompt={"version": 0, "text": "x"}), 422, "judge_prompt.version"),
    (asking(surprise=1), 422, "surprise"),
    (
        asking(examples=[{"call": "f()", "returns": f"'{'x' * 19_000}'"}] * 3),
        422,
        "examples",
    ),
]


async def test_a_bad_body_is_refused_by_its_field(evaluator: Evaluator) -> None:
    for body, status, field in BAD:
        answer = await evaluator[1].post("/evaluate", json=body)
        assert (answer.status_code, answer.json()["field"]) == (status, field)


async def test_a_body_without_a_stated_length_is_counted_as_it_comes(evaluator: Evaluator) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 100_000

    answer = await evaluator[1].post("/evaluate", content=endless())
    assert answer.status_code == 413


async def test_pages_of_other_sites_get_no_verdict(evaluator: Evaluator) -> None:
    for header, value, status in (
        ("host", "evil.example", 421),
        ("origin", "https://evil.example", 403),
        ("origin", "http://localhost:3000", 422),
    ):
        answer = await evaluator[1].post("/evaluate", json={}, headers={header: value})
        assert (answer.status_code, bool(answer.json()["request_id"])) == (status, True)


async def test_without_a_judge_there_is_no_verdict(evaluator: Evaluator, gemini: str) -> None:
    _, client = evaluator
    await control(gemini, scenario="retired-model")
    answer = await client.post("/evaluate", json=asking())
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert answer.json()["detail"].startswith("the judge could not answer")
    vetoed = await client.post("/evaluate", json=asking("def add(a, b): return 0"))
    assert vetoed.json()["passed"] is False  # facts need no judge


async def test_without_the_judges_key_it_does_not_begin(role_env: dict[str, str]) -> None:
    env = {name: value for name, value in role_env.items() if "KEY" not in name}
    code, _, err = await finished(*selfheal("serve", "--role", "evaluator"), env=env)
    assert code == 2
    assert "SELFHEAL_JUDGE_API_KEY" in err.splitlines()[-1]
