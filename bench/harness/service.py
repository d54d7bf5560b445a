"""Running the agent in the test's own process: submitted, executed at once, read back."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from langsmith import uuid7

from selfheal.db import claims, runs
from selfheal.db.pool import Connection, Database
from selfheal.db.run_requests import RunOptions, RunRequest
from selfheal.db.runs import Outcome, Run
from selfheal.graph.context import Context
from selfheal.graph.state import Request, Result
from selfheal.server.service import Service, serving_from
from selfheal.server.settings import ServerSettings


@dataclass(frozen=True)
class Failed:
    """A run that ended without a verdict."""

    outcome: Outcome
    message: str


@dataclass(frozen=True)
class Finished:
    """A run that ended, with its one recorded result."""

    run_id: UUID
    thread_id: UUID
    result: Result | Failed


@dataclass(frozen=True)
class InProcessService:
    """A service whose runs are executed by the caller."""

    service: Service

    @property
    def database(self) -> Database:
        """The service's database."""
        return self.service.database

    @property
    def context(self) -> Context:
        """What the agent's graph runs with."""
        return self.service.context

    async def run(self, request: Request, thread_id: UUID | None = None, **kwargs: Any) -> Finished:
        """Run the agent, on a thread if one is named."""
        run = await self.row(request, thread_id, **kwargs)
        if run.status in ("error", "timeout"):
            assert run.outcome is not None
            return Finished(run.id, run.thread_id, Failed(run.outcome, run.message))
        return Finished(run.id, run.thread_id, cast("Result", run.output))

    async def row(
        self, request: Request | None, thread_id: UUID | None = None, **kwargs: Any
    ) -> Run:
        """Run the agent; return the run as it was logged."""
        options: Any = {"input": request, "temporary": thread_id is None, **kwargs}
        submitted = RunRequest(
            id=uuid7(),
            thread_id=thread_id or uuid7(),
            assistant="agent",
            options=RunOptions(**options),
            create_thread=True,
        )
        await self.service.submitter.submit(submitted)
        await self.service.runner.execute(submitted.id)
        async with self.database.connection() as connection:
            return await runs.get(connection, submitted.id)


async def store_run(
    connection: Connection,
    run_id: UUID,
    text: str,
    *,
    examples: Sequence[Mapping[str, Any]] = (),
    thread_id: UUID | None = None,
) -> None:
    """Store a run of the agent as the service does, without anything that would execute it."""
    options = RunOptions(input={"request": text, "examples": list(examples)})
    request = RunRequest(
        id=run_id, thread_id=thread_id or uuid7(), assistant="agent", options=options
    )
    await claims.enqueue(connection, request)
    await claims.release(connection, run_id)


@asynccontextmanager
async def served(
    settings: ServerSettings, database: Database, context: Context
) -> AsyncIterator[InProcessService]:
    """Open a service that executes what is submitted at once."""
    async with serving_from(settings, database, context) as service:
        yield InProcessService(service)
