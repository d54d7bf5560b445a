"""No command makes a database unasked, and each says which one it has looked in."""

import asyncio
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from bench.harness.processes import clean_environment, finished, selfheal, started
from tests.support.command_line import commands_by_name

# A command that is not named here makes no database and only reads. Add one of another kind here.
MAKE_A_DATABASE = {"demo", "serve", "migrate", "keys create"}
WRITE = MAKE_A_DATABASE | {
    "optimize",
    "prompts activate",
    "prompts add",
    "prompts rollback",
    "healings approve",
    "healings pause",
    "healings reject",
    "healings resume",
    "golden add",
    "golden check",
    "golden lift",
    "golden remove",
    "keys revoke",
    "prune",
}

# A golden request, and as good a prompt as any.
GIVEN = (
    '{"id": "own", "request": "Write thrice(n) that returns n three times.", "examples":'
    ' [{"call": "thrice(1)", "returns": "3"}, {"call": "thrice(2)", "returns": "6"}]}'
)


async def run(command: tuple[str, ...], env: dict[str, str]) -> tuple[int, str, str]:
    return await finished(*selfheal(*command), env=env, stdin=GIVEN)


async def gather_all(names: set[str], env: dict[str, str]) -> dict[str, tuple[int, str, str]]:
    """Run commands, two at once; return how each ended."""
    places, known = asyncio.Semaphore(2), commands_by_name()

    async def one(name: str) -> tuple[int, str, str]:
        async with places:
            return await run(known[name], env)

    ordered = sorted(names)
    return dict(zip(ordered, await asyncio.gather(*map(one, ordered)), strict=True))


def test_the_lists_name_commands_that_there_are() -> None:
    assert commands_by_name().keys() >= WRITE


async def test_a_command_in_another_home_makes_no_cluster_and_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere/selfheal"
    env = clean_environment(HOME=str(tmp_path), XDG_DATA_HOME=str(folder.parent))
    env["GOOGLE_API_KEY"] = "not used"
    ended = await gather_all(commands_by_name().keys() - MAKE_A_DATABASE - {"doctor"}, env)
    wrong = {
        name: (code, out, err)
        for name, (code, out, err) in ended.items()
        if (code, out) != (2, "")
        or f"there is no database yet in {folder}: " not in err
        or len(err.splitlines()) != 1
    }
    assert wrong == {}
    _, out, _ = await run(("doctor",), env | {"GOOGLE_API_KEY": ""})
    assert f"absent   embedded Postgres: none yet in {folder} → `make serve` creates it" in out
    assert not folder.parent.exists()


async def test_a_reading_command_leaves_an_empty_database_empty(
    service_env: dict[str, str], empty_url: str
) -> None:
    where = f"database {conninfo_to_dict(empty_url)['dbname']} on 127.0.0.1:"
    ended = await gather_all(
        commands_by_name().keys() - WRITE, service_env | {"DATABASE_URL": empty_url}
    )
    code, out, _ = ended.pop("doctor")
    assert (code, where in out, "no schema yet" in out) == (0, True, True)
    wrong = {
        name: (code, out, err)
        for name, (code, out, err) in ended.items()
        if (code, out) != (2, "")
        or where not in err
        or "no schema yet: run `selfheal mig" not in err
    }
    assert wrong == {}
    async with await psycopg.AsyncConnection.connect(empty_url) as connection:
        cursor = await connection.execute(
            "SELECT count(*) FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = 'public'::regnamespace"
        )
        assert await cursor.fetchone() == (0,)


async def test_an_older_schema_is_not_read_and_not_changed(
    service_env: dict[str, str], database_url: str
) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        last = "(SELECT max(number) FROM schema_migrations)"
        await connection.execute(f"DELETE FROM schema_migrations WHERE number = {last}")
    code, out, err = await run(("runs", "list"), service_env)
    assert (code, out) == (2, "")
    assert "its schema is of an older version" in err


async def test_what_finds_nothing_names_the_database_without_its_password(
    service_env: dict[str, str], database_url: str
) -> None:
    known = conninfo_to_dict(database_url)
    where = f"database {known['dbname']} on 127.0.0.1:{known['port']}"
    ended = await gather_all(
        commands_by_name().keys() - {"demo", "serve", "doctor", "golden check"}, service_env
    )
    found_nothing = {
        name: err
        for name, (code, out, err) in ended.items()
        if "there is no" in err
        or "has no" in err
        or (name.endswith("list") and out.count("\n") < 2)
    }
    assert found_nothing.keys() >= {
        "healings approve",
        "healings list",
        "healings reject",
        "healings show",
        "golden remove",
        "keys revoke",
        "prompts rollback",
        "runs list",
        "runs show",
    }
    assert {name: err for name, err in found_nothing.items() if where not in err} == {}
    assert str(known["password"]) not in str(ended)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
async def test_without_keys_another_host_is_refused_before_anything_is_started(
    host: str, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    env = clean_environment(SELFHEAL_DATA_DIR=str(folder), GOOGLE_API_KEY="not used")
    for role in ("all", "manager", "worker", "evaluator"):
        command = selfheal("serve", "--role", role, "--host", host, "--port", "0")
        code, out, err = await finished(*command, env=env)
        assert (code, out) == (2, "")
        assert f"--host {host}: without keys only a loopback address" in err
        assert len(err.splitlines()) == 1
    assert not folder.exists()


async def test_a_database_that_exists_is_asked_for_keys_before_anything_listens(
    tmp_path: Path,
) -> None:
    env = clean_environment(SELFHEAL_DATA_DIR=str(tmp_path / "data"), GOOGLE_API_KEY="not used")
    assert (await finished(*selfheal("migrate"), env=env))[0] == 0
    serve = selfheal("serve", "--host", "0.0.0.0", "--port", "0")
    code, out, err = await finished(*serve, env=env)
    assert (code, out) == (2, "")
    assert "without keys only a loopback address" in err
    assert len(err.splitlines()) == 1  # nothing is logged of a start
    assert (await finished(*selfheal("keys", "create"), env=env))[0] == 0
    async with started(*serve, env=env, says=r"serving on http://0.0.0.0:\d+.*callers need a key"):
        pass
