"""What one run is given beside its input, and where it comes from."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from langgraph.runtime import Runtime
from pydantic import SecretStr
from typing_extensions import TypedDict  # pydantic wants this one below Python 3.12

from db import prompts
from db.pool import Database
from db.prompts import Agent, Prompt
from graph.data import open_data
from graph.evaluation import Evaluator
from graph.model import Model
from graph.remote import ElsewhereSandbox, RemoteEvaluator, RemoteWorker, Role, calling
from graph.sandbox.counted import Counted
from graph.sandbox.select import open_sandbox
from graph.settings import Settings, SettingsError, read_settings
from graph.verdict import Grading


class PromptStore(Protocol):
    """Where a node gets its prompt, anew at each invocation."""

    async def released(self, agent: Agent) -> Prompt:
        """Return the prompt that this run must use."""
        ...


class ReleasedPrompts:
    """The prompts that are live in the database, for a thread if one is known."""

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
    """All that the nodes need and that is no input: built once a process, shared by its runs.

    `worker` is its role's service, where one is set; else code is written in this process.
    """

    prompts: PromptStore
    model: Model
    evaluator: Evaluator
    worker: RemoteWorker | None = None
    thread_id: UUID | None = None


class Given(TypedDict, total=False):
    """What an invocation hands to the graph. Studio sends it empty."""

    context: Context


def context_of(runtime: Runtime[Given]) -> Context:
    """Return the run's context. Studio gives none: then it is the one that the process opened.

    Raises:
        RuntimeError: the graph was invoked without a context, outside Studio.
    """
    return (runtime.context or {}).get("context") or opened()[0]


def opened() -> tuple[Context, Database, Settings]:
    """Return what open_context() opened in this process.

    Raises:
        RuntimeError: it was not entered.
    """
    if _opened is None:
        raise RuntimeError("no context: pass one, or enter graph.context.open_context() first")
    return _opened


# Studio's server builds no context, so what open_context() opened serves the whole process.
_opened: tuple[Context, Database, Settings] | None = None


@asynccontextmanager
async def open_context() -> AsyncIterator[tuple[Context, Database]]:
    """Open everything that a run needs from the environment alone, for Studio.

    Raises:
        SettingsError: a setting is wrong or missing.
        DatabaseUnavailableError: Postgres cannot be reached.
    """
    global _opened  # noqa: PLW0603 - see above
    settings = read_settings()
    require_model(settings)
    async with open_data(settings) as database, open_parts(settings, database) as context:
        _opened = (context, database, settings)
        try:
            yield context, database
        finally:
            _opened = None


@asynccontextmanager
async def open_parts(settings: Settings, database: Database) -> AsyncIterator[Context]:
    """Open what a process's runs share beside the database.

    Raises:
        SettingsError: no model can be called with these settings.
        SandboxUnavailable: the sandbox that was asked for does not work here.
    """
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(open_model(settings, settings.model))
        opening = _remote_evaluator if settings.evaluator_url else open_evaluator
        evaluator = await stack.enter_async_context(opening(settings))
        worker = None
        if settings.worker_url:
            client = calling(settings.worker_url, settings.role_key, _timeout(settings))
            worker = RemoteWorker("worker", await stack.enter_async_context(client))
        yield Context(ReleasedPrompts(database), model, evaluator, worker)


@asynccontextmanager
async def _remote_evaluator(settings: Settings) -> AsyncIterator[Evaluator]:
    assert settings.evaluator_url is not None  # noqa: S101 - that is why we are called
    async with (
        calling(settings.evaluator_url, settings.role_key, _timeout(settings)) as client,
        open_model(settings, settings.judges_by, settings.judge_api_key) as judge,
    ):
        grading = Grading(settings.rule_weight, settings.pass_threshold)
        yield RemoteEvaluator(ElsewhereSandbox(), judge, grading, Role("evaluator", client))


def _timeout(settings: Settings) -> float:
    """Return the seconds that a role gets: its model calls, and what it does beside them."""
    return settings.run_timeout_seconds


@asynccontextmanager
async def open_evaluator(settings: Settings) -> AsyncIterator[Evaluator]:
    """Open what gives verdicts: it needs no database, and no key but the judge's.

    Raises:
        SettingsError: the judge's model cannot be called with these settings.
        SandboxUnavailable: the sandbox that was asked for does not work here.
    """
    async with (
        open_sandbox(settings.sandbox) as sandbox,
        open_model(settings, settings.judges_by, settings.judge_api_key) as judge,
    ):
        grading = Grading(settings.rule_weight, settings.pass_threshold)
        yield Evaluator(Counted(sandbox), judge, grading)


def require_model(settings: Settings) -> None:
    """Check that agent and judge can be called, before anything is opened.

    Raises:
        SettingsError: no model can be called: there is no key for Gemini, and no other is named.
    """
    if _lacks_key(settings.model, settings.google_api_key):
        raise SettingsError(
            "no model can be called: set GOOGLE_API_KEY, or SELFHEAL_MODEL to another"
            " provider's model (ollama:…, openai:…, anthropic:…), or run `make serve` in another"
            " terminal, which starts a simulated Gemini"
        )
    require_judge(settings)


def require_judge(settings: Settings) -> None:
    """Check that the judge can be called; the worker's key is no concern of it.

    Raises:
        SettingsError: there is no key for the judge.
    """
    if _lacks_key(settings.judges_by, settings.judge_api_key or settings.google_api_key):
        raise SettingsError(
            "the judge cannot be called: set SELFHEAL_JUDGE_API_KEY or GOOGLE_API_KEY, or"
            " SELFHEAL_JUDGE_MODEL to another provider's model (ollama:…, openai:…, anthropic:…),"
            " or run `make serve` in another terminal, which starts a simulated Gemini"
        )


def _lacks_key(name: str, key: SecretStr | None) -> bool:
    return name.startswith("google_genai:") and key is None


@asynccontextmanager
async def open_model(
    settings: Settings, name: str, key: SecretStr | None = None
) -> AsyncIterator[Model]:
    """Open a model with the configured fall-backs.

    Raises:
        SettingsError: it cannot be used.
    """
    names = (name, *settings.fallback_models)
    try:
        model = Model(names, api_key=key, timeout=settings.model_timeout_seconds)
    except (ImportError, ValueError) as error:
        raise SettingsError(f"SELFHEAL_MODEL: {name} cannot be used: {error}") from error
    try:
        yield model
    finally:
        await model.aclose()
