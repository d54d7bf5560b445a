"""The agent as this process serves it: runs are submitted, waited for, and executed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
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
from selfheal.optimizer.context import open_optimizer_context
from selfheal.server.approvals.announcer import ApprovalAnnouncer
from selfheal.server.approvals.channels import channels
from selfheal.server.auth.limits import StorageQuota
from selfheal.server.execution.agent_executor import AgentExecutor
from selfheal.server.execution.cron_runs import CronRunner
from selfheal.server.execution.local_slots import LocalSlots
from selfheal.server.execution.notifications import RunWaiter, listening
from selfheal.server.execution.optimizer_runs import OptimizerExecutor, OptimizerScheduler
from selfheal.server.execution.queue import Queue, open_queue
from selfheal.server.execution.recovery import LeaseRecovery
from selfheal.server.execution.retention import Retention
from selfheal.server.execution.runner import Executor, Observer, Runner
from selfheal.server.execution.submit import RunSubmitter
from selfheal.server.observability.langsmith import LangSmith, tracing
from selfheal.server.settings import ServerSettings
from selfheal.server.webhooks.delivery import WebhookDelivery
from selfheal.server.webhooks.sender import WebhookSender
from selfheal.server.webhooks.url_policy import UrlPolicy

_RUN_GRACE: Final = 12.0  # seconds that runs in flight are given when the process is stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What routes need to submit runs, wait for them, and read the log."""

    settings: ServerSettings
    database: Database
    context: Context
    queue: Queue
    submitter: RunSubmitter
    waiter: RunWaiter
    runner: Runner
    slots: LocalSlots
    announcer: ApprovalAnnouncer
    langsmith: LangSmith

    async def check(self) -> None:
        """Do what every run needs.

        Raises:
            DatabaseError: the database cannot be reached, or does not work.
        """
        await self.database.check()

    async def get_run(self, run_id: UUID, tenant: str, thread_id: UUID | None = None) -> Run:
        """Return a tenant's run.

        Args:
            run_id: the run.
            tenant: whose rows are read.
            thread_id: the thread that it must be on; None for any.

        Raises:
            NotFoundError: there is none.
        """
        async with self.database.connection() as connection:
            run = await runs.get(connection, run_id, tenant)
        if thread_id not in (None, run.thread_id):
            raise NotFoundError(f"there is no run {run_id} on thread {thread_id}")
        return run

    def on_disconnect(
        self, action: Literal["cancel", "continue"], run_id: UUID
    ) -> Callable[[], Awaitable[None]] | None:
        """Return what is to be called if the client disconnects before the end of a run."""
        if action == "continue":
            return None
        return lambda: self.submitter.cancel(run_id, "interrupt")


@asynccontextmanager
async def open_service(
    settings: ServerSettings, *, local: bool, interval: float
) -> AsyncIterator[tuple[Service, OptimizerScheduler]]:
    """Open all that the service needs: database, schema, first prompts, models, sandbox, queue.

    Nothing is executed before `executing` and `scheduling` are entered.

    Args:
        settings: the settings of the service.
        local: this process executes the runs that it accepts; there are no runners.
        interval: seconds between two passes of the optimizer; 0 for passes on request only.

    Raises:
        SettingsError: no model can be called with these settings.
        DatabaseError: Postgres cannot be reached, or has a newer schema.
        EmbeddedPostgresError: the embedded Postgres does not start.
        SandboxUnavailable: the requested sandbox does not work here.
    """
    require_model(settings)
    async with (
        tracing() as langsmith,
        open_migrated(settings, first_prompts()) as database,
        open_parts(settings, database) as context,
        open_optimizer_context(settings, database, context) as optimizer_context,
    ):
        scheduler = OptimizerScheduler(optimizer_context, interval)
        async with serving_from(
            settings,
            database,
            context,
            langsmith=langsmith,
            executors={"optimizer": OptimizerExecutor(optimizer_context)},
            observers=(scheduler.observe,),
            local=local,
        ) as service:
            yield service, scheduler


@asynccontextmanager
async def serving_from(
    settings: ServerSettings,
    database: Database,
    context: Context,
    *,
    langsmith: LangSmith | None = None,
    executors: Mapping[str, Executor] | None = None,
    observers: Sequence[Observer] = (),
    local: bool = True,
) -> AsyncIterator[Service]:
    """Open the service on a database and a context that are open already.

    Args:
        settings: the settings of the service.
        database: the database.
        context: what runs of the agent share.
        langsmith: where scores are sent; None sends none.
        executors: of other assistants than the agent.
        observers: called with the outcome of each run of the agent.
        local: this process executes the runs that it accepts.

    Raises:
        SettingsError: approvals cannot be announced as configured.
    """
    langsmith = langsmith or LangSmith()
    announcer = ApprovalAnnouncer(database, channels(settings))
    agent = AgentExecutor(settings, database, context, build_graph(), langsmith)
    async with open_queue(database.url) as queue, listening(database.url) as notifications:
        runner = Runner(
            database,
            queue,
            notifications,
            {"agent": agent, **(executors or {})},
            observers,
            settings.lease_seconds,
            settings.max_concurrency,
        )
        slots = LocalSlots(runner, enabled=local)
        submitter = RunSubmitter(
            database,
            queue,
            slots,
            settings.max_waiting,
            UrlPolicy(bool(settings.webhook_keys), settings.webhook_allow_private),
            StorageQuota(database, settings.tenant_storage_mb),
        )
        yield Service(
            settings=settings,
            database=database,
            context=context,
            queue=queue,
            submitter=submitter,
            waiter=RunWaiter(database, notifications),
            runner=runner,
            slots=slots,
            announcer=announcer,
            langsmith=langsmith,
        )


@asynccontextmanager
async def executing(service: Service) -> AsyncIterator[None]:
    """Execute runs beside the body; then let those in flight end, or hand them back."""
    settings, database = service.settings, service.database
    sender = WebhookSender(settings.webhook_keys, allow_private=settings.webhook_allow_private)
    loops = (
        LeaseRecovery(database, service.queue, settings.lease_seconds).run(),
        WebhookDelivery(database, sender).run(),
        service.announcer.run(),
        Retention(database, settings).run(),
        CronRunner(database, service.submitter).run(),
    )
    work = (
        service.queue.work(service.runner.execute, settings.max_concurrency, _RUN_GRACE),
        service.slots.run(_RUN_GRACE),
    )
    looping = [asyncio.create_task(each) for each in loops]
    working = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        await asyncio.gather(stop(*looping), stop(*working, patience=2 * _RUN_GRACE))
