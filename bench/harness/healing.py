"""A service and its optimizer in one process, with what a test of healing wants to do and see."""

import tomllib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from bench.harness.service import Failed, Finished, InProcessService, served
from selfheal.db import healings, prompts
from selfheal.db.healings import Healing
from selfheal.db.pool import Database
from selfheal.db.prompts import Prompt
from selfheal.db.types import Agent, Release
from selfheal.graph.context import open_parts
from selfheal.graph.state import Request
from selfheal.optimizer.context import OptimizerContext, open_optimizer_context
from selfheal.optimizer.receipt.schema import receipt_of
from selfheal.optimizer.runner import Optimizer, Watch
from selfheal.optimizer.state import Result, Trigger
from selfheal.server.settings import ServerSettings, read_settings

_BANK = Path(__file__).parents[2] / "simulator" / "bank"
KNOWN = ("slugify", "is_leap_year", "days_between", "ordinal", "group_by_key")


@cache
def ask(name: str, phrasing: int = 0, examples: int = 2) -> Request:
    """Return a request for a task of the simulator's bank, with some of its examples stated."""
    for file in _BANK.glob("*.toml"):
        for task in tomllib.loads(file.read_text(encoding="utf-8"))["task"]:
            if task["name"] == name:
                wanted = task["requests"][phrasing]
                return Request(request=wanted, examples=task["examples"][:examples])
    raise LookupError(name)


@dataclass
class HealingHarness:
    """Service and optimizer on the same database."""

    settings: ServerSettings
    database: Database
    service: InProcessService
    context: OptimizerContext

    async def put_live(self, text: str, agent: str = "worker") -> int:
        """Release a prompt as an operator does; return its version."""
        async with self.database.transaction() as connection:
            head = await prompts.head(connection, agent)  # type: ignore[arg-type]
            added = await prompts.add(connection, agent, text, author="test")  # type: ignore[arg-type]
            await prompts.release(
                connection,
                agent,  # type: ignore[arg-type]
                added.version,
                after=head,
                action="activate",
                actor="test",
            )
        return added.version

    async def put_live_alone(self, text: str, agent: str = "worker") -> int:
        """Release a prompt with nothing sound to revert to; return its version."""
        async with self.database.transaction() as connection:
            await connection.execute("ALTER TABLE prompts DISABLE TRIGGER USER")
            query = "UPDATE prompts SET text = %s WHERE agent = %s"
            await connection.execute(query, (f"{text} Say nothing else.", agent))
            await connection.execute("ALTER TABLE prompts ENABLE TRIGGER USER")
        return await self.put_live(text, agent)

    async def run(self, *names: str) -> list[Finished]:
        """Run the requests of these tasks, one after another."""
        return [await self.service.run(ask(name)) for name in names or KNOWN]

    async def heal(
        self,
        watch: Watch = lambda *_: None,
        *,
        forced: bool = False,
        agent: Agent | None = None,
    ) -> Result:
        """Make one pass, for an agent or for whichever is to blame."""
        trigger = Trigger(trigger="test", forced=forced)
        if agent:
            trigger["agent"] = agent
        return await Optimizer(self.context, watch).run(trigger)

    async def live(self, agent: Agent = "worker") -> Prompt:
        """Return an agent's live prompt."""
        async with self.database.connection() as connection:
            return await prompts.released(connection, agent)

    async def log(self) -> list[Release]:
        """Return the worker's release log, newest first."""
        async with self.database.connection() as connection:
            return await prompts.releases(connection, "worker")

    async def versions(self) -> list[Prompt]:
        """Return the worker's versions, newest first."""
        async with self.database.connection() as connection:
            return await prompts.versions(connection, "worker")

    async def healings(self) -> list[Healing]:
        """Return all healings, newest first."""
        async with self.database.connection() as connection:
            return await healings.recent(connection)

    async def healing(self, result: Result) -> Healing:
        """Return the healing that a pass opened."""
        async with self.database.connection() as connection:
            return await healings.get(connection, UUID(result["healing_id"]))

    async def receipt(self, result: Result) -> Any:
        """Return the receipt of the healing that a pass opened; any part of it may be null."""
        return receipt_of(await self.healing(result))

    async def execute(self, query: str, **values: Any) -> None:
        """Change what no function of ours changes."""
        async with self.database.connection() as connection:
            await connection.execute(query.encode(), values)


@asynccontextmanager
async def open_healing_harness(database: Database) -> AsyncIterator[HealingHarness]:
    """Open service and optimizer from the environment."""
    settings = read_settings()
    async with (
        open_parts(settings, database) as agent_context,
        open_optimizer_context(settings, database, agent_context) as context,
        served(settings, database, agent_context) as service,
    ):
        yield HealingHarness(settings, database, service, context)


async def next_day(harness: HealingHarness) -> None:
    """Move the judge's checks and flags a day into the past, so that the daily check is due."""
    day = timedelta(hours=24.1)
    await harness.execute("UPDATE judge_checks SET created_at = created_at - %(day)s", day=day)
    await harness.execute("UPDATE judge_flags SET raised_at = raised_at - %(day)s", day=day)
    await harness.execute("DELETE FROM judge_turns")


def passed(finished: Finished) -> bool:
    """Tell whether a run has a verdict, and it is a good one."""
    return not isinstance(finished.result, Failed) and finished.result["evaluation"]["passed"]


async def defect(url: str, name: str) -> str:
    """Return one of the simulator's damaged prompts."""
    async with httpx.AsyncClient() as client:
        rows = (await client.get(f"{url}/control/defects")).json()
    return next(row["prompt"] for row in rows if row["name"] == name)  # type: ignore[no-any-return]


async def calls(url: str) -> Counter[str]:
    """Return how many calls the simulator has answered so far, faulty ones included, by persona."""
    async with httpx.AsyncClient() as client:
        counts = (await client.get(f"{url}/control")).json()["counts"]
    return Counter({persona: sum(counter.values()) for persona, counter in counts.items()})
