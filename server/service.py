"""The agent as this process serves it: runs are taken in, followed, and executed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from db import runs
from db.errors import NotFoundError
from db.pool import Database
from db.runs import Run
from graph.build import build_graph
from graph.context import Context, open_parts, require_model
from graph.data import open_data
from graph.settings import Settings
from server.agent_run import AgentRun
from server.following import Follower
from server.here import Here
from server.intake import Intake
from server.news import listening
from server.pruner import Pruner
from server.queue import Queue, open_queue
from server.quota import Quota
from server.reaper import Reaper
from server.repeating import Repeater
from server.runner import Performer, Runner
from server.stopping import stop
from server.traces import Traces
from server.tracing import tracing
from server.webhooks.delivery import Deliverer
from server.webhooks.policy import Policy
from server.webhooks.posting import Poster

_FOR_RUNS: Final = 12.0  # seconds that runs under way get to end when we are told to stop

Gone = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """Do nothing when a caller is gone: the run goes on without it."""


@dataclass(frozen=True, slots=True)
class Service:
    """What routes need: where runs are taken in, and where they are followed."""

    settings: Settings
    database: Database
    context: Context
    queue: Queue
    intake: Intake
    follower: Follower
    runner: Runner
    here: Here
    traces: Traces

    async def check(self) -> None:
        """Do what every run needs.

        Raises:
            DatabaseError: the database cannot be reached, or does not work.
        """
        await self.database.check()

    async def run(self, run_id: UUID, tenant: str, thread_id: UUID | None = None) -> Run:
        """Return a tenant's run, of a thread if one is named.

        Raises:
            NotFoundError: there is none.
        """
        async with self.database.connection() as connection:
            found = await runs.get(connection, run_id, tenant)
        if thread_id not in (None, found.thread_id):
            raise NotFoundError(f"there is no run {run_id} on thread {thread_id}")
        return found

    def gone(self, then: Literal["cancel", "continue"], run_id: UUID) -> Gone:
        """Return what is done when a run's caller goes away before its end."""
        if then == "continue":
            return nothing

        async def cancel() -> None:
            await self.intake.cancel(run_id, "interrupt")

        return cancel


@asynccontextmanager
async def open_service(settings: Settings, *, alone: bool) -> AsyncIterator[Service]:
    """Open all that the service needs: database, schema, first prompts, model, sandbox, queue.

    Args:
        alone: this process executes what it takes in; there are no runners.

    Raises:
        SettingsError: no model can be called with these settings.
        DatabaseError: Postgres cannot be reached, or has a newer schema.
        EmbeddedPostgresError: the embedded Postgres does not start.
        SandboxUnavailable: the sandbox that was asked for does not work here.
    """
    require_model(settings)
    async with (
        tracing() as traces,
        open_data(settings) as database,
        open_parts(settings, database) as context,
        serving_from(settings, database, context, traces, alone=alone) as service,
    ):
        yield service


@asynccontextmanager
async def serving_from(
    settings: Settings,
    database: Database,
    context: Context,
    traces: Traces | None = None,
    *,
    alone: bool = True,
) -> AsyncIterator[Service]:
    """Open the service on what is open already."""
    traces = traces or Traces()
    async with open_queue(database.url) as queue, listening(database.url) as news:
        performers: dict[str, Performer] = {
            "agent": AgentRun(settings, database, context, build_graph(), traces)
        }
        lease, concurrency = settings.lease_seconds, settings.max_concurrency
        runner = Runner(database, queue, news, performers, lease, concurrency)
        here = Here(runner, lends=alone)
        webhooks = Policy(bool(settings.webhook_keys), settings.webhook_allow_private)
        quota = Quota(database, settings.tenant_storage_mb)
        intake = Intake(database, queue, here, settings.max_waiting, webhooks, quota)
        follower = Follower(database, news)
        parts = (queue, intake, follower, runner, here, traces)
        yield Service(settings, database, context, *parts)


@asynccontextmanager
async def executing(service: Service) -> AsyncIterator[None]:
    """Execute runs beside the body; then let those under way end, or hand them back."""
    settings = service.settings
    work = service.queue.work(service.runner.execute, settings.max_concurrency, _FOR_RUNS)
    reaper = Reaper(service.database, service.queue, settings.lease_seconds)
    poster = Poster(settings.webhook_keys, allow_private=settings.webhook_allow_private)
    deliverer = Deliverer(service.database, poster)
    pruner = Pruner(service.database, settings)
    repeater = Repeater(service.database, service.intake)
    loops = (reaper.run(), deliverer.run(), pruner.run(), repeater.run())
    looking = [asyncio.create_task(each) for each in loops]
    working = [asyncio.create_task(each) for each in (work, service.here.run(_FOR_RUNS))]
    try:
        yield
    finally:
        await asyncio.gather(stop(*looking), stop(*working, patience=2 * _FOR_RUNS))
