"""The command line, as an operator types it."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.harness.processes import finished, selfheal
from bench.harness.scripted_model import Asked, serve_scripted_model


async def test_prompts_from_the_command_line(service_env: dict[str, str], tmp_path: Path) -> None:
    async def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        return await finished(*selfheal("prompts", *arguments), env=service_env, stdin=stdin)

    file = tmp_path / "prompt.md"
    file.write_text("Write {good} code.\n")
    assert (await run("add", "worker", str(file), "--parent", "1"))[0] == 0
    assert (await run("add", "worker", "-", stdin="Write [bold]better[/bold] code."))[0] == 0
    code, out, _ = await run("list", "worker", "--json")
    assert [(row["version"], row["author"]) for row in json.loads(out)] == [
        (3, "cli"),
        (2, "cli"),
        (1, "selfheal"),
    ]
    assert (await run("activate", "worker", "2"))[0] == 0
    assert (await run("show", "worker"))[1] == "Write {good} code.\n"
    assert "+Write [bold]better[/bold] code." in (await run("diff", "worker", "2", "3"))[1]
    code, out, _ = await run("rollback", "worker")
    assert (code, out) == (0, "worker: version 1 is live again\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("prompts", "show", "worker", "77"), "worker has no prompt version 77"),
        (("prompts", "show", "nobody"), "'nobody' is not one of"),
        (("prompts", "add", "worker", "/nowhere"), "does not exist"),
        (("prompts", "rollback", "worker"), "no earlier release"),
        (("runs", "show", "not-an-id"), "not a valid UUID"),
        (("runs", "list", "--limit", "0"), "--limit"),
        (("nonsense",), "No such command"),
    ],
)
async def test_bad_input_is_one_line_and_code_2(
    service_env: dict[str, str], arguments: tuple[str, ...], words: str
) -> None:
    code, out, err = await finished(*selfheal(*arguments), env=service_env)
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.strip().splitlines()) == 1


async def test_the_doctor_finds_all_well(service_env: dict[str, str]) -> None:
    code, out, err = await finished(*selfheal("doctor", "--json"), env=service_env)
    found = {each["name"]: each for each in json.loads(out)}
    assert code == 0, err
    assert found["Postgres"]["ok"]
    assert "SIMULATED-gemini-3.8-flash" in found["model"]["detail"]
    assert found["sandbox"]["ok"]


async def test_doctor_names_what_is_missing_and_the_remedy(service_env: dict[str, str]) -> None:
    broken = {"GOOGLE_API_KEY": "", "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    code, out, err = await finished(*selfheal("doctor"), env={**service_env, **broken})
    assert code == 1
    assert "MISSING  Postgres" in out
    assert "MISSING  model: no model can be called: set GOOGLE_API_KEY" in out
    assert len(err.strip().splitlines()) == 1
    assert "127.0.0.1" in out


@pytest.mark.parametrize(
    ("setting", "name", "words"),
    [
        ("SELFHEAL_MODEL", "openai:gpt-5", "the package langchain-openai is not installed"),
        ("SELFHEAL_MODEL", "opnai:x", "there is no provider opnai; did you mean openai?"),
        ("SELFHEAL_FALLBACK_MODELS", "openai:gpt-5", "the package langchain-openai is not"),
        ("SELFHEAL_JUDGE_MODEL", "opnai:x", "there is no provider opnai"),
    ],
)
async def test_the_doctor_blames_the_setting_that_names_an_impossible_model(
    service_env: dict[str, str], setting: str, name: str, words: str
) -> None:
    env = {**service_env, setting: name}
    code, out, err = await finished(*selfheal("doctor", "--json"), env=env)
    assert (code, len(err.strip().splitlines())) == (1, 1), err
    [broken] = [each for each in json.loads(out) if each["needed"] and not each["ok"]]
    assert broken["detail"].startswith(f"{setting}: {name} cannot be used: {words}")
    assert broken["remedy"] == f"check {setting} and its key"


async def test_the_doctor_asks_every_model_and_gives_the_providers_reason(
    service_env: dict[str, str],
) -> None:
    def reply(asked: Asked) -> Any:
        if asked.model == "sound":
            return "yes"
        message = f"{asked.model} is not for the key {asked.key}"
        return 403, {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": message}}

    async with serve_scripted_model(reply) as server:
        env = {
            **service_env,
            "GOOGLE_API_KEY": "secret-key-of-this-test",
            "GOOGLE_GEMINI_BASE_URL": server.url,
            "SELFHEAL_MODEL": "google_genai:sound",
            "SELFHEAL_FALLBACK_MODELS": "google_genai:second,google_genai:sound",
            "SELFHEAL_JUDGE_API_KEY": "secret-key-of-the-judge",
            "SELFHEAL_OPTIMIZER_MODEL": "google_genai:third",
        }
        code, out, err = await finished(*selfheal("doctor", "--json"), env=env)
    assert code == 1
    assert "secret-key" not in out + err
    found = {each["name"]: each for each in json.loads(out)}
    assert found["model"]["ok"]
    assert found["judge"]["ok"], "the same model with another key"
    denied = "PERMISSION_DENIED: {} is not for the key …"
    for name, model in {
        "fall-back model google_genai:second": "second",
        "optimizer's model": "third",
    }.items():
        assert found[name]["detail"].endswith(denied.format(model))
    keys = {(each.model, each.key) for each in server.asked}
    assert ("sound", "secret-key-of-the-judge") in keys


async def test_migrate_may_be_repeated(service_env: dict[str, str], empty_url: str) -> None:
    env = {**service_env, "DATABASE_URL": empty_url}
    assert "applied 0001" in (await finished(*selfheal("migrate"), env=env))[1]
    assert (await finished(*selfheal("migrate"), env=env))[1] == "the schema is up to date\n"


async def test_a_sandbox_that_was_chosen_and_cannot_be_used_is_named(
    service_env: dict[str, str],
) -> None:
    env = {**service_env, "SELFHEAL_SANDBOX": "bwrap", "PATH": ""}
    command = selfheal("serve", "--role", "evaluator", "--port", "0")
    code, out, err = await finished(*command, env=env)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("selfheal: SELFHEAL_SANDBOX: ")


_SAYS_WHAT_IT_IMPORTED = """
import sys
from selfheal.server.cli import main
try:
    main()
finally:
    print(*sys.modules)
"""


async def test_a_pass_that_finds_nothing_to_heal_imports_no_models_client(
    service_env: dict[str, str],
) -> None:
    command = (sys.executable, "-c", _SAYS_WHAT_IT_IMPORTED, "optimize")
    code, out, err = await finished(*command, env=service_env)
    assert code == 0, err
    result, modules = out.splitlines()
    assert json.loads(result)["outcome"] == "healthy"
    clients = ("langchain_google_genai", "google.genai", "google.auth", "aiohttp")
    assert [name for name in modules.split() if name.startswith(clients)] == []
