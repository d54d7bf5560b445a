"""The agent as this process serves it: runs are taken in, followed, and executed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from selfheal.app.aio import stop
from selfheal.app.llm.models import require_model
from selfheal.db import runs
from selfheal.db.bootstrap import open_migrated
from selfheal.db.errors import NotFoundError
from selfheal.db.pool import Database
from selfheal.db.runs import Run
from selfheal.graph.build import build_graph
from selfheal.graph.context import Context, open_parts
from selfheal.graph.prompts import first_prompts
from selfheal.server.auth.storage_quota import Quota
from selfheal.server.execution.agent_executor import AgentRun
from selfheal.server.execution.cron_runs import Repeater
from selfheal.server.execution.local_slots import Here
from selfheal.server.execution.notifications import listening
from selfheal.server.execution.queue import Queue, open_queue
from selfheal.server.execution.recovery import Reaper
from selfheal.server.execution.retention import Pruner
from selfheal.server.execution.runner import Performer, Runner
from selfheal.server.execution.submit import Intake
from selfheal.server.execution.waiters import Follower
from selfheal.server.observability.langsmith import tracing
from selfheal.server.observability.langsmith_feedback import Traces
from selfheal.server.settings import ServerSettings
from selfheal.server.webhooks.delivery import Deliverer
from selfheal.server.webhooks.sender import Poster
from selfheal.server.webhooks.url_policy import Policy

_FOR_RUNS: Final = 12.0  # seconds that runs under way get to end when we are told to stop

Gone = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """Do nothing when a caller is gone: the run goes on without it."""


@dataclass(frozen=True, slots=True)
class Service:
    """What routes need: where runs are taken in, and where they are followed."""

    settings: ServerSettings
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
async def open_service(settings: ServerSettings, *, alone: bool) -> AsyncIterator[Service]:
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
        open_migrated(settings, first_prompts()) as database,
        open_parts(settings, database) as context,
        serving_from(settings, database, context, traces, alone=alone) as service,
    ):
        yield service


@asynccontextmanager
async def serving_from(
    settings: ServerSettings,
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
