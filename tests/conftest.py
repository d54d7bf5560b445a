"""Real parts for every test: one Postgres for the whole run, one database for each test."""

import fcntl
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from psycopg import sql

from bench.harness import service
from bench.harness.processes import clean_environment, started
from selfheal.db import prompts
from selfheal.db.embedded.server import embedded_postgres
from selfheal.db.migrate import migrate
from selfheal.db.pool import Database, open_database
from selfheal.graph.prompts import first_prompts
from selfheal.optimizer import runner
from tests.support import databases
from tests.support.databases import Kind


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own key and database out of the tests."""
    for name in os.environ.keys() - clean_environment().keys():
        monkeypatch.delenv(name)
    monkeypatch.setenv("LANGGRAPH_CLI_NO_ANALYTICS", "1")


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all test processes of this run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@pytest.fixture(scope="session")
async def postgres(shared_folder: Path) -> AsyncIterator[str]:
    """Start the run's one Postgres."""
    async with embedded_postgres(shared_folder / "data") as url:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await _trust_the_machine(connection)
        yield url


async def _trust_the_machine(connection: databases.Connection) -> None:
    """Let the tests' server wait for no disk: nobody reads its data after a crash of the machine.

    Crashes of the server itself lose nothing by that. Said again it changes nothing.
    """
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        statement = sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(name))
        await connection.execute(statement)
    await connection.execute("SELECT pg_reload_conf()")


async def _make_template(admin: databases.Connection, kind: Kind) -> None:
    """Make a kind's template, migrated and seeded, unless it is there."""
    query = "SELECT 1 FROM pg_database WHERE datname = %s"
    if await (await admin.execute(query, (kind.template,))).fetchone():
        return
    making = f"making_{kind.name}"
    url = await databases.create(admin, making, kind, empty=True)
    async with open_database(url) as database:
        await migrate(database)
        async with database.connection() as seeding:
            await prompts.seed(seeding, first_prompts())
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    await admin.execute(rename.format(sql.Identifier(making), sql.Identifier(kind.template)))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests that are marked so on each kind of database."""
    marked = metafunc.definition.get_closest_marker("every_database")
    if marked and "database_kind" in metafunc.fixturenames:
        metafunc.parametrize("database_kind", databases.KINDS, ids=lambda kind: kind.name)


@pytest.fixture
def database_kind() -> Kind:
    """Return the kind of the test's database: the default unless the test is for every kind."""
    return databases.PLAIN


@pytest.fixture
async def empty_url(postgres: str, shared_folder: Path, database_kind: Kind) -> AsyncIterator[str]:
    """Make a database without any schema; yield its address."""
    async with AsyncExitStack() as stack:
        yield await _database(stack, postgres, shared_folder, database_kind, empty=True)


@pytest.fixture
async def database_url(
    postgres: str, shared_folder: Path, database_kind: Kind
) -> AsyncIterator[str]:
    """Make a database with the schema and the first prompts; yield its address."""
    async with AsyncExitStack() as stack:
        yield await _database(stack, postgres, shared_folder, database_kind)


async def _database(
    stack: AsyncExitStack,
    url: str,
    folder: Path,
    kind: Kind = databases.PLAIN,
    *,
    empty: bool = False,
) -> str:
    admin = await stack.enter_async_context(
        await psycopg.AsyncConnection.connect(url, autocommit=True)
    )
    if not empty:
        with (folder / f"{kind.template}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            await _make_template(admin, kind)
    name = databases.fresh_name()
    stack.push_async_callback(databases.drop, admin, name)
    return await databases.create(admin, name, kind, empty=empty)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Open the test's database."""
    async with open_database(database_url, size=8) as opened:
        yield opened


@pytest.fixture
async def empty_database(empty_url: str) -> AsyncIterator[Database]:
    """Open a database with the schema, but without any prompt."""
    async with open_database(empty_url, size=8) as opened:
        await migrate(opened)
        yield opened


@pytest.fixture(scope="session")
async def _simulator() -> AsyncIterator[str]:
    command = (sys.executable, "-m", "selfheal.simulator", "--port", "0")
    async with started(*command, env=clean_environment(), says=r"listening on (http://\S+)") as (
        _,
        url,
    ):
        yield url


@pytest.fixture
async def gemini(_simulator: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Lead this process's model calls to the simulated Gemini; yield its address."""
    await control(_simulator, reset=True, scenario="sound", seed=0, faults=[], noise=0)
    monkeypatch.setenv("GOOGLE_API_KEY", "simulated")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", _simulator)
    return _simulator


@pytest.fixture
def repeatable(gemini: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make healings of this process repeatable: the ids of runs and of healings are counted.

    What a healing decides depends on the order of its cases, which its id shuffles, and on the
    noise of the simulator, which `gemini` seeds.
    """
    for module in (runner, service):
        monkeypatch.setattr(module, "uuid7", partial(next, map(_counted_id, count(1))))


def _counted_id(number: int) -> UUID:
    return UUID(int=number << 80 | 7 << 76 | 2 << 62)


async def control(url: str, **wanted: object) -> dict[str, Any]:
    """Set the simulated Gemini; return what it says of itself."""
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{url}/control", json=wanted)
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown


@pytest.fixture(scope="module")
async def module_env(
    postgres: str,
    shared_folder: Path,
    _simulator: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[dict[str, str]]:
    """Yield what `service_env` is, for a service that all tests of a module share."""
    await control(_simulator, reset=True, scenario="sound", seed=0, faults=[], noise=0)
    async with AsyncExitStack() as stack:
        yield clean_environment(
            DATABASE_URL=await _database(stack, postgres, shared_folder),
            GOOGLE_API_KEY="simulated",
            GOOGLE_GEMINI_BASE_URL=_simulator,
            SELFHEAL_DATA_DIR=str(tmp_path_factory.mktemp("data")),
        )


@pytest.fixture
def service_env(database_url: str, gemini: str, tmp_path: Path) -> dict[str, str]:
    """Return the environment of a process of ours that uses the test's database and Gemini."""
    return clean_environment(
        DATABASE_URL=database_url,
        GOOGLE_API_KEY="simulated",
        GOOGLE_GEMINI_BASE_URL=gemini,
        SELFHEAL_DATA_DIR=str(tmp_path / "data"),
    )
