"""What a run of the agent is given beside its input, and opening it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from langgraph.runtime import Runtime
from typing_extensions import TypedDict  # required by pydantic below Python 3.12

from selfheal.app.llm.client import Model
from selfheal.app.llm.models import models_for, open_model, require_model
from selfheal.db import prompts
from selfheal.db.bootstrap import open_migrated
from selfheal.db.pool import Database
from selfheal.db.prompts import Prompt
from selfheal.db.types import Agent
from selfheal.graph.evaluator import Evaluator, open_evaluator
from selfheal.graph.prompts import first_prompts
from selfheal.graph.remote import RemoteWorker, open_remote_evaluator, open_role
from selfheal.graph.settings import AgentSettings


class PromptStore(Protocol):
    """Where a node gets its prompt, at each invocation anew."""

    async def released(self, agent: Agent) -> Prompt:
        """Return the prompt that this run uses for an agent."""
        ...


class ReleasedPrompts:
    """The live prompts of the database.

    Args:
        database: where they are.
        thread_id: the thread, which decides on which side of a canary a run is.
    """

    def __init__(self, database: Database, thread_id: UUID | None = None) -> None:
        self._database = database
        self._thread_id = thread_id

    async def released(self, agent: Agent) -> Prompt:
        """Return the live prompt.

        Raises:
            NotFoundError: nothing was ever released for this agent.
        """
        async with self._database.connection() as connection:
            return await prompts.released(connection, agent, self._thread_id)


@dataclass(frozen=True, slots=True)
class Context:
    """What the nodes need beside their input: built once in a process and shared by its runs.

    Attributes:
        prompts: where the nodes get their prompts.
        model: the agent's model.
        evaluator: evaluates programs.
        worker: the service of the worker's role; None if code is written in this process.
        thread_id: the thread of this run; None outside of one.
    """

    prompts: PromptStore
    model: Model
    evaluator: Evaluator
    worker: RemoteWorker | None = None
    thread_id: UUID | None = None


class InvocationContext(TypedDict, total=False):
    """The context of an invocation. Studio leaves it empty."""

    context: Context


def context_of(runtime: Runtime[InvocationContext]) -> Context:
    """Return the run's context; for Studio, which passes none, that of `open_context`.

    Raises:
        RuntimeError: there is neither.
    """
    return (runtime.context or {}).get("context") or opened()[0]


def opened() -> tuple[Context, Database, AgentSettings]:
    """Return what `open_context` opened in this process.

    Raises:
        RuntimeError: it was not entered.
    """
    if _opened is None:
        raise RuntimeError(
            "no context: pass one, or enter selfheal.graph.context.open_context() first"
        )
    return _opened


# Studio's server passes no context, so one is kept for the whole process.
_opened: tuple[Context, Database, AgentSettings] | None = None


@asynccontextmanager
async def open_context(settings: AgentSettings) -> AsyncIterator[tuple[Context, Database]]:
    """Open everything that runs need and keep it for the process, for Studio.

    Raises:
        SettingsError: a setting is missing or cannot be used.
        DatabaseUnavailableError: Postgres cannot be reached.
    """
    global _opened  # noqa: PLW0603 - see above
    require_model(settings)
    async with (
        open_migrated(settings, first_prompts()) as database,
        open_parts(settings, database) as context,
    ):
        _opened = (context, database, settings)
        try:
            yield context, database
        finally:
            _opened = None


@asynccontextmanager
async def open_parts(settings: AgentSettings, database: Database) -> AsyncIterator[Context]:
    """Open what the runs of a process share beside the database.

    Raises:
        SettingsError: no model can be called with these settings.
        SandboxUnavailable: the configured sandbox does not work on this machine.
    """
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(open_model(settings, models_for(settings, "agent")))
        evaluator: Evaluator
        if settings.evaluator_url:
            opening = open_remote_evaluator(settings, settings.evaluator_url)
            evaluator = await stack.enter_async_context(opening)
        else:
            evaluator = await stack.enter_async_context(open_evaluator(settings))
        worker = None
        if settings.worker_url:
            client = open_role(settings, settings.worker_url)
            worker = RemoteWorker("worker", await stack.enter_async_context(client))
        yield Context(ReleasedPrompts(database), model, evaluator, worker)
