"""A fresh deployment for every trial: its own database, and a simulated Gemini of the process's."""

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final
from uuid import uuid4

import httpx
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from bench.harness.healing import HealingHarness, open_healing_harness
from selfheal.db import prompts
from selfheal.db.migrate import migrate
from selfheal.db.pool import open_database
from selfheal.graph.prompts import first_prompts

TEMPLATE: Final = "healing_template"
_SETTINGS: Final = {
    "GOOGLE_API_KEY": "simulated",
    "SELFHEAL_HEAL_DAILY_CALLS": "1000000",
    "SELFHEAL_HEAL_CONCURRENCY": "8",
    "SELFHEAL_ROLLOUT": "instant",
}


async def make_template(url: str) -> None:
    """Make the database that every trial's is a copy of."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    async with open_database(make_conninfo(url, dbname=TEMPLATE)) as database:
        await migrate(database)
        async with database.connection() as connection:
            await prompts.seed(connection, first_prompts())


@contextmanager
def simulated_gemini() -> Iterator[str]:
    """Start a simulated Gemini; yield its address."""
    command = (sys.executable, "-m", "selfheal.simulator", "--port", "0")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        said = iter(process.stdout.readline, "")
        found = next(match for line in said if (match := re.search(r"on (http://\S+)", line)))
        yield found[1]
    finally:
        process.terminate()
        process.wait()


@asynccontextmanager
async def deployment(url: str, gemini: str, **settings: str) -> AsyncIterator[HealingHarness]:
    """Yield a deployment with the first prompts, an empty log, and these settings."""
    name = f"healing_{uuid4().hex}"
    identifier, template = sql.Identifier(name), sql.Identifier(TEMPLATE)
    os.environ |= {**_SETTINGS, "GOOGLE_GEMINI_BASE_URL": gemini, **settings}
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as admin:
        await admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(identifier, template))
        try:
            async with (
                open_database(make_conninfo(url, dbname=name)) as database,
                open_healing_harness(database) as harness,
            ):
                yield harness
        finally:
            await admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


async def control(gemini: str, **wanted: Any) -> dict[str, Any]:
    """Set the simulated Gemini; return what it says of itself."""
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{gemini}/control", json=wanted)
        answer.raise_for_status()
        shown: dict[str, Any] = answer.json()
        return shown
