"""Running the agent for a caller: logged from the first moment, with exactly one result."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langsmith import uuid7

from db import runs
from db.errors import DatabaseError
from db.pool import Database
from db.runs import Finish, Outcome
from graph.build import AgentGraph, build_graph
from graph.context import Context, ReleasedPrompts, open_parts, require_model
from graph.data import open_data
from graph.errors import ErrorClass, InfrastructureError, RunError
from graph.settings import Settings
from graph.state import Request, Result, Usage, merge
from server.tracing import traced_run, tracing

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failed:
    """A run that ended without a verdict: the class, and words for the caller."""

    error_class: ErrorClass
    message: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that ended, with its one recorded result."""

    run_id: UUID
    thread_id: UUID
    result: Result | Failed


class Service:
    """The agent as this process serves it."""

    def __init__(self, settings: Settings, database: Database, context: Context) -> None:
        self.settings = settings
        self.database = database
        self.context = context
        self._graph = build_graph()
        self._observers: list[Callable[[Outcome], None]] = []
        self._places = asyncio.Semaphore(settings.max_concurrency)

    def tell(self, observer: Callable[[Outcome], None]) -> None:
        """Have `observer` told the outcome of every run, once it is recorded."""
        self._observers.append(observer)

    async def check(self) -> None:
        """Do what every run needs.

        Raises:
            DatabaseError: the database cannot be reached, or does not work.
        """
        async with self.database.connection() as connection:
            await connection.execute("SELECT 1")

    async def run(self, request: Request, thread_id: UUID | None = None) -> Finished:
        """Run the agent and record the result before returning it.

        Raises:
            DatabaseUnavailableError: Postgres cannot be reached; the result may be unrecorded.
        """
        run_id = uuid7()
        thread_id = thread_id or uuid7()
        async with self.database.connection() as connection:
            await runs.start(
                connection,
                run_id,
                thread_id=thread_id,
                assistant="agent",
                request=request["request"],
                examples=request.get("examples", []),
            )
        try:
            async with self._places:
                return await self._execute(run_id, thread_id, request)
        except asyncio.CancelledError:
            await asyncio.shield(self._interrupted(run_id))
            raise

    async def _execute(self, run_id: UUID, thread_id: UUID, request: Request) -> Finished:
        seen: dict[str, Any] = {"prompt_versions": {}, "usage": {}}
        with traced_run(run_id, thread_id, request) as metadata:
            failure = await self._follow(run_id, thread_id, request, seen)
            finish = _finish(seen, failure)
            metadata["prompt_versions"] = seen["prompt_versions"]
            metadata["error_class"] = finish.outcome
            async with self.database.transaction() as connection:
                await runs.finish(connection, run_id, finish)
            for observer in self._observers:
                observer(finish.outcome)
        return Finished(run_id, thread_id, failure or _result(seen))

    async def _follow(
        self, run_id: UUID, thread_id: UUID, request: Request, seen: dict[str, Any]
    ) -> Failed | None:
        """Run the graph, gathering in `seen` what its nodes gave; return how it failed, if so."""
        try:
            async with asyncio.timeout(self.settings.run_timeout_seconds):
                stream = self._checkpointed().astream(
                    request,
                    _config(run_id, thread_id),
                    context={"context": self._context_of(thread_id)},
                    stream_mode="updates",
                )
                async for updates in stream:
                    for update in updates.values():
                        merge(seen, update)
        except RunError as error:
            seen["prompt_versions"] |= error.prompt_versions
            return Failed(error.error_class, str(error))
        except TimeoutError:
            seconds = self.settings.run_timeout_seconds
            return Failed(InfrastructureError.error_class, f"the run took over {seconds:g} s")
        except DatabaseError:
            raise
        except Exception:
            logger.exception("run %s broke", run_id)
            return Failed(InfrastructureError.error_class, "an internal error; the log has it")
        return None

    def _context_of(self, thread_id: UUID) -> Context:
        """Return the context with the prompts that are live for a thread."""
        return replace(self.context, prompts=ReleasedPrompts(self.database, thread_id))

    def _checkpointed(self) -> AgentGraph:
        """Return the graph with a saver of its own: a saver has one lock for all who share it."""
        saver = AsyncPostgresSaver(self.database.pool)
        return self._graph.copy(update={"checkpointer": saver})

    async def _interrupted(self, run_id: UUID) -> None:
        try:
            async with self.database.connection() as connection:
                await runs.interrupt(connection, run_id, "stopped before it had a result")
        except DatabaseError as error:
            logger.warning("run %s was stopped, and that could not be logged: %s", run_id, error)


def _config(run_id: UUID, thread_id: UUID) -> RunnableConfig:
    return RunnableConfig(
        configurable={"thread_id": str(thread_id)}, metadata={"run_id": str(run_id)}
    )


def _finish(seen: dict[str, Any], failure: Failed | None) -> Finish:
    evaluation = seen.get("evaluation")
    usages: list[Usage] = list(seen["usage"].values())
    passed = "ok" if evaluation and evaluation["passed"] else "failed"
    return Finish(
        outcome=failure.error_class if failure else passed,  # type: ignore[arg-type]
        message=failure.message if failure else "",
        plan=seen.get("plan"),
        code=seen.get("code"),
        explanation=seen.get("explanation"),
        prompt_versions=seen["prompt_versions"],
        model=seen.get("model"),
        model_calls=sum(usage["calls"] for usage in usages),
        input_tokens=sum(usage["input_tokens"] for usage in usages),
        output_tokens=sum(usage["output_tokens"] for usage in usages),
        evaluation=evaluation,
    )


def _result(seen: dict[str, Any]) -> Result:
    return Result(
        code=seen["code"],
        explanation=seen["explanation"],
        evaluation=seen["evaluation"],
        prompt_versions=seen["prompt_versions"],
    )


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Service]:
    """Open all that the service needs: database, schema, first prompts, model, sandbox.

    Raises:
        SettingsError: no model can be called with these settings.
        DatabaseError: Postgres cannot be reached, or has a newer schema.
        EmbeddedPostgresError: the embedded Postgres does not start.
        SandboxUnavailable: the sandbox that was asked for does not work here.
    """
    require_model(settings)
    async with (
        tracing(),
        open_data(settings) as database,
        open_parts(settings, database) as context,
    ):
        yield Service(settings, database, context)
