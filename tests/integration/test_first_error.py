"""Summaries that show the first error: whoever reads one does not search for its cause."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from bench.harness.healing import KNOWN, open_healing_harness
from bench.harness.processes import clean_environment, finished, selfheal
from bench.harness.scripted_model import Asked, agent_reply, serve_scripted_model
from selfheal.db.pool import Database
from selfheal.optimizer.receipt.markdown import as_markdown
from selfheal.optimizer.receipt.stored import read
from selfheal.optimizer.receipt.verify import verify
from selfheal.optimizer.wording import sentence

LEAKED = "PERMISSION_DENIED: Your API key was reported as leaked"
CHARACTERS = "abcdefghijklmnopqrstuvwxyz"


def refusal() -> tuple[int, dict[str, Any]]:
    status, _, message = LEAKED.partition(": ")
    return 403, {"error": {"code": 403, "status": status, "message": message}}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "secret-key-of-this-test")


async def test_a_healing_whose_trials_gave_no_verdict_says_why(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is refused from the moment on at which candidates are tried."""
    sound, proposed = agent_reply("print('hello world')"), []

    def reply(asked: Asked) -> Any:
        if "patterns" in asked.fields:
            found = {"patterns": [], "root_causes": ["It says hello."], "suggestions": []}
            return {**found, "blame": "worker"}
        if "rationale" in asked.fields:
            proposed.append(1)
            words = " ".join(CHARACTERS[(len(proposed) + n) % 26] * 5 for n in range(12))
            return {"prompt": f"Write the function that is asked for. {words}", "rationale": "r"}
        return refusal() if proposed and not asked.fields else sound(asked)

    async with serve_scripted_model(reply) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        async with open_healing_harness(database) as harness:
            await harness.put_live("Answer with a hello world program.")
            await harness.run(*KNOWN[:3])
            result = await harness.heal(forced=True, agent="worker")
            receipt = await harness.receipt(result)
            async with database.connection() as connection:
                stored = await read(connection, UUID(result["healing_id"]))
    unjudged = receipt["unjudged"]
    assert unjudged["count"] == unjudged["of"] > 0
    assert unjudged["first"].startswith("model: the key may not use ")
    assert LEAKED in unjudged["first"]
    assert result["outcome"] == "rejected"
    reason = result["reason"]
    assert (reason["code"], reason["values"]["first"]) == (
        "many_trials_without_verdict",
        unjudged["first"],
    )
    assert unjudged["first"] in as_markdown(receipt)
    assert [each.what for each in verify(receipt, stored) if not each.agrees] == []


async def test_runs_that_were_counted_out_say_why(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve_scripted_model(lambda _: refusal()) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        async with open_healing_harness(database) as harness:
            await harness.run(*KNOWN[:3])
            seen = await harness.heal()
            forced = await harness.heal(forced=True)
            receipt = await harness.receipt(forced)
    assert seen["outcome"] == "not_the_prompt"
    newest = f"the newest: model: the key may not use {harness.settings.model}: {LEAKED}"
    assert newest in sentence(seen["reason"])
    assert LEAKED in sentence(forced["reason"])
    assert LEAKED in receipt["newest_error"]["message"]
    assert f"`{receipt['newest_error']['run_id']}`, ended with" in as_markdown(receipt)


@pytest.mark.parametrize("command", [("golden", "check"), ("golden", "check", "--json")])
async def test_a_judge_that_never_answers_says_why(
    database_url: str, command: tuple[str, ...], tmp_path: Path
) -> None:
    async with serve_scripted_model(lambda _: refusal()) as server:
        code, out, err = await finished(
            *selfheal(*command),
            env=environment(
                DATABASE_URL=database_url, GOOGLE_GEMINI_BASE_URL=server.url, HOME=str(tmp_path)
            ),
        )
    assert (code, out.strip()) == (1, "")
    assert err.startswith("selfheal: the judge gave no usable answer: the judge could not answer: ")
    assert LEAKED in err
    assert len(err.strip().splitlines()) == 1


async def test_a_judge_that_sometimes_answers_says_why_not_always(
    database_url: str, tmp_path: Path
) -> None:
    sound, count = agent_reply("x"), iter(range(10_000))

    async with serve_scripted_model(
        lambda asked: refusal() if next(count) % 10 == 9 else sound(asked)
    ) as at:
        code, out, err = await finished(
            *selfheal("golden", "check", "--json"),
            env=environment(
                DATABASE_URL=database_url, GOOGLE_GEMINI_BASE_URL=at.url, HOME=str(tmp_path)
            ),
        )
    assert code == 0, err
    told = json.loads(out)
    assert told["unanswered"] > 0
    assert LEAKED in told["first_error"]


def environment(**more: str) -> dict[str, str]:
    return clean_environment(GOOGLE_API_KEY="secret-key-of-this-test", **more)
