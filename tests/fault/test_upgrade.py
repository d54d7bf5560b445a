"""An old and a new version on one database: nobody notices an upgrade, and it can be undone."""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from bench.harness.processes import finished, selfheal, started

ASK = {
    "assistant_id": "agent",
    "input": {"request": "Write is_leap_year(year) that tells whether a year is a leap year."},
}
SAYS = r"serving on (http://\S+)"
HERE = Path(__file__).parents[2]
MORE = """
ALTER TABLE runs ADD COLUMN reviewed boolean NOT NULL DEFAULT false;
CREATE INDEX ON runs (reviewed) WHERE reviewed;
CREATE TABLE reviews (run_id uuid PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE);
"""


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """Make the next version: this one, with a step more in its schema."""
    shutil.copytree(HERE / "selfheal", tmp_path / "selfheal")
    (tmp_path / "selfheal/db/migrations/9000_reviews.sql").write_text(MORE)
    return tmp_path


@dataclass
class Line:
    """The addresses of the processes that callers are sent to, as a load balancer has them."""

    stack: AsyncExitStack
    urls: list[str] = field(default_factory=list)
    ended: list[Any] = field(default_factory=list)

    async def add(self, env: dict[str, str]) -> Any:
        serving = started(*selfheal("serve", "--port", "0"), env=env, says=SAYS)
        process, url = await self.stack.enter_async_context(serving)
        self.urls.append(url)
        return process

    async def replace(self, process: Any, url: str) -> None:
        """Send nobody there any more, then tell it to stop."""
        self.urls.remove(url)
        await asyncio.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0

    async def ask(self) -> None:
        """Ask for run after run, in turn."""
        async with httpx.AsyncClient(timeout=60) as client:
            for turn in range(10_000):
                url = self.urls[turn % len(self.urls)]
                self.ended.append((await client.post(f"{url}/runs/wait", json=ASK)).json())


@pytest.fixture
async def line(service_env: dict[str, str]) -> AsyncIterator[Line]:
    """Yield a line whose processes end before their database does."""
    async with AsyncExitStack() as stack:
        yield Line(stack)


async def test_an_upgrade_interrupts_no_caller(
    line: Line, newer: Path, service_env: dict[str, str]
) -> None:
    next_env = {**service_env, "PYTHONPATH": str(newer), "PYTHONSAFEPATH": "1"}
    old = await line.add(service_env)
    callers = asyncio.gather(*(line.ask() for _ in range(3)))
    code, out, err = await finished(*selfheal("migrate"), env=next_env)
    assert (code, out) == (0, "applied 9000_reviews.sql\n"), err

    new = await line.add(next_env)
    again = await line.add(service_env)  # an old one that died meanwhile, or the way back
    await some_more(line)
    await line.replace(old, line.urls[0])
    await some_more(line)
    await line.replace(again, line.urls[1])
    await some_more(line)
    assert new.returncode is None

    assert not callers.done(), callers.exception()
    callers.cancel()
    await asyncio.gather(callers, return_exceptions=True)
    assert all(each.get("evaluation", {}).get("passed") for each in line.ended), line.ended
    assert await outcomes(service_env["DATABASE_URL"]) <= {"ok", None}


async def some_more(line: Line) -> None:
    enough = len(line.ended) + 6
    async with asyncio.timeout(30):
        while len(line.ended) < enough:
            await asyncio.sleep(0.05)


async def outcomes(url: str) -> set[str | None]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        cursor = await connection.execute("SELECT DISTINCT outcome FROM runs")
        return {row[0] for row in await cursor.fetchall()}
