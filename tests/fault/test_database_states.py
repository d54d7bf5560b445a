"""A database that is read-only, full or frozen: readiness and refusals say so, in time."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, call

import httpx
import psycopg
import pytest

from bench.harness.processes import clean_environment, selfheal, started
from selfheal.db.embedded.server import embedded_postgres

SAYS = r"serving on (http://\S+)"
ASK = {
    "assistant_id": "agent",
    "input": {"request": "Write is_leap_year(year) that tells whether a year is a leap year."},
}
IN_TIME = 2.0  # seconds
MEGABYTES = 256


@dataclass
class Service:
    """A service, and a Postgres of its own in a folder."""

    client: httpx.AsyncClient
    url: str
    folder: Path

    async def ready(self) -> tuple[int, str]:
        """Ask whether it is ready; return what it says, which it must in time."""
        begun = time.monotonic()
        answer = await self.client.get("/health/ready")
        assert time.monotonic() - begun < IN_TIME
        return answer.status_code, answer.json()["detail"]

    async def refuses(self, why: str) -> None:
        """See that it takes nothing in, and says when to come again and, before long, why."""
        async with asyncio.timeout(30):
            while True:
                answer = await self.client.post("/runs", json=ASK)
                refusal = (answer.status_code, answer.headers.get("retry-after"))
                assert refusal == (503, "5"), answer.text
                if answer.json()["detail"].startswith(why) and (await self.ready())[1] == why:
                    return

    async def works(self) -> None:
        """Wait until it is ready, and see that it does what it is asked."""
        async with asyncio.timeout(30):
            while (await self.ready())[0] != 200:
                await asyncio.sleep(0.1)
        answer = await self.client.post("/runs/wait", json=ASK)
        assert answer.json()["evaluation"]["passed"], answer.text

    def processes(self) -> list[int]:
        """Return the server's processes, the postmaster's own last."""
        postmaster = int((self.folder / "postgres-18/data/postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        return [*map(int, children), postmaster]


async def serve(stack: AsyncExitStack, folder: Path, gemini: str) -> Service:
    for each in (folder, folder.parent):
        each.chmod(0o711)  # for root, the server is another user's
    url = await stack.enter_async_context(embedded_postgres(folder))
    env = clean_environment(
        DATABASE_URL=url,
        GOOGLE_API_KEY="simulated",
        GOOGLE_GEMINI_BASE_URL=gemini,
        SELFHEAL_DATA_DIR=str(folder),
        SELFHEAL_OPTIMIZE_EVERY_SECONDS="0",
    )
    process = started(*selfheal("serve", "--port", "0"), env=env, says=SAYS)
    _, address = await stack.enter_async_context(process)
    client = httpx.AsyncClient(base_url=address, timeout=60)
    return Service(await stack.enter_async_context(client), url, folder)


@pytest.fixture
async def service(gemini: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with AsyncExitStack() as stack:
        yield await serve(stack, tmp_path_factory.mktemp("own"), gemini)


async def test_read_only(service: Service) -> None:
    """As after a failover, or while an operator lets nothing be written."""
    await service.works()
    await set_read_only(service.url, "on")
    try:
        await service.refuses("the database is read-only")
        assert (await service.client.get("/runs")).status_code == 200, "reads still work"
    finally:
        await set_read_only(service.url, "off")
    await service.works()


async def set_read_only(url: str, value: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as admin:
        await admin.execute("SET default_transaction_read_only = off")
        change = f"ALTER DATABASE selfheal SET default_transaction_read_only = {value}"
        await admin.execute(change.encode())
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = 'selfheal' AND pid <> pg_backend_pid()"
        )


async def test_frozen(service: Service) -> None:
    await service.works()
    stopped = service.processes()
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(3):  # one question at a time is under way, and none is waited for too long
            assert await service.ready() == (503, "no answer within 1.5 s")
        assert (await service.client.get("/health/live")).status_code == 200
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    await service.works()


@pytest.fixture
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Mount a file system of little room."""
    folder = tmp_path_factory.mktemp("small")
    command = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m,mode=711", "selfheal", str(folder)]
    if shutil.which("mount") is None or call(command, stderr=DEVNULL):
        pytest.skip("NOT TESTED: a full disk: no file system can be mounted here (be root)")
    try:
        yield folder
    finally:
        call(["umount", "--lazy", str(folder)])


async def test_full_disk(small: Path, gemini: str) -> None:
    async with AsyncExitStack() as stack:
        service = await serve(stack, small, gemini)
        await service.works()
        ballast = fill(small)
        try:
            assert await service.ready() == (503, "the database's disk is full")
            fat = {"metadata": {"text": os.urandom(6000).hex()}}
            for _ in range(1000):  # pages have room for some more
                answer = await service.client.post("/threads", json=fat)
                if answer.status_code != 200:
                    break
            assert (answer.status_code, answer.headers.get("retry-after")) == (503, "5")
            assert answer.json()["detail"].startswith("the database's disk is full")
        finally:
            ballast.unlink()
        await service.works()


def fill(folder: Path) -> Path:
    """Take all room that is left on a folder's file system."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (2**20, 2**12):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return ballast
