"""No secret is in what any command writes: whatever is wrong, at the most talkative log level."""

import json
import logging
import re
import sys
from pathlib import Path

import httpx
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bench.harness.processes import clean_environment, finished, selfheal, speaking
from selfheal.db.setting_types import is_secret
from selfheal.db.settings import variables
from selfheal.server.commands.runtime import run_async
from selfheal.server.observability import logs
from selfheal.server.settings import ServerSettings
from tests.support.command_line import commands
from tests.support.invalid_settings import MARK, secret

SECRETS = {
    variables(ServerSettings, name)[0]: secret(field)
    for name, field in ServerSettings.model_fields.items()
    if is_secret(field)
}
MALFORMED = f"postgresql+asyncpg://app:{MARK}@127.0.0.1:1/x"
UNREACHABLE = f"postgresql://app:{MARK}@127.0.0.1:1/x"
# A golden request for `golden add`, and to `prompts add` a prompt like any other.
GIVEN = json.dumps(
    {
        "id": "x",
        "request": "Write twice(x).",
        "examples": [{"call": "twice(1)", "returns": "2"}, {"call": "twice(2)", "returns": "4"}],
    }
)


def shown(*texts: str) -> list[str]:
    """Return the secrets that are in one of the texts."""
    return [each for each in (MARK, *SECRETS.values()) if any(each in text for text in texts)]


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
async def test_no_command_shows_a_secret(
    command: tuple[str, ...], postgres: str, gemini: str, tmp_path: Path
) -> None:
    """With an address that is malformed, that nobody listens at, and whose password is wrong."""
    denied = make_conninfo(postgres, password=MARK)
    for address in (MALFORMED, UNREACHABLE, denied):
        env = clean_environment(**{**SECRETS, "DATABASE_URL": address})
        env |= {
            "HOME": str(tmp_path),
            "SELFHEAL_LOG_LEVEL": "debug",
            "GOOGLE_GEMINI_BASE_URL": gemini,
        }
        del env["SELFHEAL_DIRECT_DATABASE_URL"]
        code, out, err = await finished(*selfheal(*command), env=env, stdin=GIVEN)
        assert code in (1, 2)
        assert "DATABASE_URL: " in out + err, "the command did not come as far as the database"
        assert shown(out, err) == []
        assert "Traceback" not in err


async def test_of_two_addresses_the_one_that_cannot_be_used_is_named(
    service_env: dict[str, str],
) -> None:
    env = {**service_env, "SELFHEAL_DIRECT_DATABASE_URL": UNREACHABLE}
    cause = "selfheal: SELFHEAL_DIRECT_DATABASE_URL: Postgres cannot be reached"
    for command in (("migrate",), ("prune",), ("serve", "--port", "0")):
        code, out, err = await finished(*selfheal(*command), env=env)
        assert (code, out) == (2, "")
        assert err.splitlines()[-1].startswith(cause)
        assert shown(err) == []


async def test_the_doctor_shows_the_settings_in_force(
    service_env: dict[str, str], tmp_path: Path
) -> None:
    kept = {name: value for name, value in SECRETS.items() if name not in service_env}
    env = {**kept, **service_env, "SELFHEAL_ROLLOUT": "manual"}
    del env["SELFHEAL_DIRECT_DATABASE_URL"]
    _, out, err = await finished(*selfheal("doctor"), env=env)
    lines = out.splitlines()
    assert "setting  SELFHEAL_ROLLOUT: manual (environment)" in lines
    assert "setting  SELFHEAL_CANARY_PERCENT: 50 (default)" in lines
    assert "setting  SELFHEAL_ROLE_KEY: set (environment)" in lines
    address = conninfo_to_dict(service_env["DATABASE_URL"])
    place = f"{address['host']}:{address['port']}/{address['dbname']}"
    assert f"setting  DATABASE_URL: {place} (environment)" in lines
    assert sum(line.startswith("setting  ") for line in lines) == len(ServerSettings.model_fields)
    assert str(address["password"]) not in out + err
    assert shown(out, err) == []


async def test_a_service_logs_no_secret_when_what_it_depends_on_fails(
    service_env: dict[str, str],
) -> None:
    """LangSmith and the roles are away, and the log is at its most talkative."""
    away = {
        "SELFHEAL_LOG_LEVEL": "debug",
        "SELFHEAL_WORKER_URL": "http://127.0.0.1:1",
        "LANGSMITH_TRACING": "true",
        "LANGSMITH_ENDPOINT": "http://127.0.0.1:1",
    }
    unused = ("DATABASE_URL", "SELFHEAL_DIRECT_DATABASE_URL", "SELFHEAL_BOOTSTRAP_KEY")
    kept = {name: value for name, value in SECRETS.items() if name not in unused}
    env = {**service_env, **kept, **away}
    ask = {"assistant_id": "agent", "input": {"request": "Write add(a, b)."}}
    async with speaking(*selfheal("serve", "--port", "0"), env=env) as (process, said):
        written = ""
        while not (url := re.search(r"serving on (http://\S+)", written)):
            written += (await said.readline()).decode()
        async with httpx.AsyncClient(base_url=url[1], timeout=60) as client:
            answer = await client.post("/runs/wait", json=ask)
        process.terminate()
        written += (await said.read()).decode()
        await process.wait()
    assert "LangSmith" in written, "nothing was said of what is away"
    assert shown(written, answer.text) == []
    assert str(conninfo_to_dict(env["DATABASE_URL"])["password"]) not in written


async def _nothing() -> None:
    """Do what every command begins with, and nothing else."""


def test_what_a_library_quotes_is_masked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a log at debug, JSON or text; and in the traceback of what no command expects."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    error = RuntimeError(f"illegal header {SECRETS['GOOGLE_API_KEY']}, address {UNREACHABLE}")
    told = logging.makeLogRecord(
        {"name": "httpx", "msg": f"sent {MARK}", "exc_info": (RuntimeError, error, None)}
    )
    for form in ("json", "text"):
        line = logs.formatter(form, verbose=True).format(told)
        assert "illegal header [secret], address [secret]" in line
        assert shown(line) == []
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    run_async(_nothing)()
    sys.excepthook(RuntimeError, error, None)
    assert logging.lastResort is not None
    logging.lastResort.handle(told)
    written = capsys.readouterr().err
    assert written.count("illegal header [secret]") == 2
    assert shown(written) == []


def test_a_password_that_is_a_word_does_not_mask_parts_of_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://postgres:postgres@h/x")
    line = logs.formatter("json", verbose=False).format(
        logging.makeLogRecord({"name": "server", "msg": "write postgresql://, not postgres"})
    )
    assert json.loads(line)["message"] == "write postgresql://, not [secret]"
