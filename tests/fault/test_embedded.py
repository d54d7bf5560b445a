"""The embedded Postgres, started for real, and killed."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bench.harness.leftovers import stopped
from selfheal.db.embedded.server import EmbeddedPostgresError, NoClusterError, embedded_postgres

USER = """
import asyncio, sys
from pathlib import Path
from selfheal.db.embedded.server import embedded_postgres

async def main():
    async with embedded_postgres(Path(sys.argv[1])) as url:
        print(url, flush=True)
        await asyncio.to_thread(input)

asyncio.run(main())
"""


class User(subprocess.Popen[str]):
    """Another process that uses the same folder, until it is told to leave or we end."""

    def __init__(self, folder: Path) -> None:
        root, pipe = Path(__file__).parents[2], subprocess.PIPE
        command = [sys.executable, "-c", USER, str(folder)]
        super().__init__(
            command, -1, None, pipe, pipe, pipe, cwd=root, text=True, start_new_session=True
        )

    def url(self) -> str:
        assert self.stdout is not None
        return self.stdout.readline().strip()

    def leave(self) -> int:
        self.communicate("\n", timeout=60)
        return self.returncode


def query(url: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def postmaster(folder: Path) -> int:
    return int((folder / "postgres-18/data/postmaster.pid").read_text().split()[0])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "it's $HOME"


async def test_it_is_safe_and_private_and_keeps_its_data(folder: Path) -> None:
    async with embedded_postgres(folder) as url:
        assert query(url, "SELECT current_database(), lower('Ä')") == [("selfheal", "ä")]
        for name, value in (("fsync", "on"), ("data_checksums", "on"), ("jit", "off")):
            assert query(url, f"SHOW {name}") == [(value,)]
        with pytest.raises(psycopg.OperationalError, match="password"):
            query(url.replace("selfheal:", "selfheal:x"), "SELECT 1")
        query(url, "CREATE TABLE kept AS SELECT 7 AS n")
    assert stopped(folder)
    modes = {"password": 0o600, "data": 0o700, ".": 0o700, "../postgres.log": 0o600}
    for name, mode in modes.items():
        assert stat.S_IMODE((folder / "postgres-18" / name).stat().st_mode) == mode, name
    async with embedded_postgres(folder) as url:
        assert query(url, "SELECT n FROM kept") == [(7,)]


async def test_one_process_may_enter_twice_and_a_dropped_database_comes_back(folder: Path) -> None:
    async with embedded_postgres(folder) as first:
        query(first.replace("/selfheal?", "/postgres?"), "DROP DATABASE selfheal")
        async with embedded_postgres(folder) as second:
            assert second == first
        assert query(first, "SELECT 1") == [(1,)]
    assert stopped(folder)


def test_four_first_starts_at_once_share_a_server_until_the_last_leaves(folder: Path) -> None:
    users = [User(folder) for _ in range(4)]
    [url] = {one.url() for one in users}
    for one in users:
        assert query(url, "SELECT 1") == [(1,)]
        assert one.leave() == 0
    assert stopped(folder)


async def test_a_killed_owner_leaves_a_server_that_is_adopted(folder: Path) -> None:
    owner = User(folder)
    url = owner.url()
    owner.kill()
    owner.communicate()  # to the end of its pipes: the server holds none
    assert query(url, "SELECT 1") == [(1,)]
    pid = postmaster(folder)
    async with embedded_postgres(folder) as adopted:
        assert (adopted, postmaster(folder)) == (url, pid)
    assert stopped(folder)


async def test_a_killed_first_start_leaves_no_half_cluster(folder: Path) -> None:
    owner, base = User(folder), folder / "postgres-18.new/data/base"
    while not base.exists() and not (folder / "postgres-18").exists():
        await asyncio.sleep(0.005)
    owner.kill()  # its initdb goes on alone, in the way of the next
    owner.communicate()
    async with embedded_postgres(folder) as url:
        assert query(url, "SELECT 1") == [(1,)]
    assert not base.exists()


async def test_a_server_killed_under_writes_loses_nothing(folder: Path) -> None:
    committed = 0

    def write(url: str) -> None:
        nonlocal committed
        with psycopg.connect(url, autocommit=True) as connection:
            while connection.execute("INSERT INTO rows DEFAULT VALUES"):
                committed += 1

    async with embedded_postgres(folder) as url:
        query(url, "CREATE TABLE rows (n bigserial)")
        writing = asyncio.create_task(asyncio.to_thread(write, url))
        await asyncio.sleep(0.5)
        os.kill(postmaster(folder), signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            await writing
        async with embedded_postgres(folder) as again:  # while the first still is a user
            assert committed <= query(again, "SELECT count(*) FROM rows")[0][0] <= committed + 1
    assert committed
    assert stopped(folder)


async def test_a_stale_pid_of_another_living_process_is_no_obstacle(folder: Path) -> None:
    async with embedded_postgres(folder):
        pid_file = folder / "postgres-18/data/postmaster.pid"
        _, *rest = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *rest]) + "\n")
    async with embedded_postgres(folder) as url:
        assert query(url, "SELECT 1") == [(1,)]
    assert stopped(folder)


def test_ctrl_c_stops_it_in_good_order(folder: Path) -> None:
    owner = User(folder)
    assert owner.url()
    os.killpg(owner.pid, signal.SIGINT)
    owner.communicate(timeout=60)
    assert stopped(folder)
    assert "database system is shut down" in (folder / "postgres.log").read_text()


@pytest.mark.parametrize("seconds", [0.0, 0.4, 0.8, 1.2, None])
async def test_cancelled_anywhere_it_leaves_nothing(folder: Path, seconds: float | None) -> None:
    stopping = asyncio.Event()

    async def use() -> None:
        async with embedded_postgres(folder):
            await asyncio.sleep(60 if seconds is not None else 0)
            stopping.set()

    using = asyncio.create_task(use())
    await (stopping.wait() if seconds is None else asyncio.sleep(seconds))
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    assert stopped(folder)


async def test_a_start_that_fails_says_why_in_one_line(folder: Path) -> None:
    async with embedded_postgres(folder):
        settings = folder / "postgres-18/data/postgresql.conf"
    settings.write_text(settings.read_text() + "no_such_setting = 1\n")
    with pytest.raises(EmbeddedPostgresError, match=r"^embedded.*FATAL.*DATABASE_URL.$") as caught:
        async with embedded_postgres(folder):
            pass
    assert "\n" not in str(caught.value)
    with pytest.raises(EmbeddedPostgresError, match="SELFHEAL_DATA_DIR"):
        async with embedded_postgres(settings / "folder"):
            pass


async def test_where_nothing_may_be_made_nothing_is(folder: Path) -> None:
    with pytest.raises(NoClusterError, match="there is no database yet in "):
        async with embedded_postgres(folder, create=False):
            pass
    assert not folder.exists()  # noqa: ASYNC240 - one look
    async with embedded_postgres(folder) as url:
        async with embedded_postgres(folder, create=False) as same:
            assert same == url
        query(url.replace("/selfheal?", "/postgres?"), "DROP DATABASE selfheal")
        with pytest.raises(NoClusterError):
            async with embedded_postgres(folder, create=False):
                pass
    assert stopped(folder)
