"""What one run is given beside its input, and where it comes from."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal, Protocol
from uuid import UUID

from langgraph.runtime import Runtime
from pydantic import SecretStr
from typing_extensions import TypedDict  # pydantic wants this one below Python 3.12

from selfheal.app.llm.client import Model, ModelSetupError
from selfheal.db import prompts
from selfheal.db.pool import Database
from selfheal.db.prompts import Prompt
from selfheal.db.types import Agent
from selfheal.graph.database import open_data
from selfheal.graph.evaluator import Evaluator
from selfheal.graph.remote import ElsewhereSandbox, RemoteEvaluator, RemoteWorker, Role, calling
from selfheal.graph.sandbox.metered import Counted
from selfheal.graph.sandbox.packages import NO_PACKAGES, Packages, packages_in
from selfheal.graph.sandbox.selection import open_sandbox
from selfheal.graph.scoring import Grading
from selfheal.graph.settings import Settings, SettingsError, read_settings, secret_values


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
        raise RuntimeError(
            "no context: pass one, or enter selfheal.graph.context.open_context() first"
        )
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
        model = await stack.enter_async_context(open_model(settings, models_for(settings, "agent")))
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
        open_model(settings, models_for(settings, "judge")) as judge,
    ):
        grading = Grading(settings.rule_weight, settings.pass_threshold)
        packages = packages_of(settings)
        role = Role("evaluator", client)
        yield RemoteEvaluator(ElsewhereSandbox(), judge, grading, packages, role)


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
    packages = packages_of(settings)
    async with (
        open_sandbox(settings.sandbox, packages) as sandbox,
        open_model(settings, models_for(settings, "judge")) as judge,
    ):
        grading = Grading(settings.rule_weight, settings.pass_threshold)
        yield Evaluator(Counted(sandbox), judge, grading, packages)


def packages_of(settings: Settings) -> Packages:
    """Return the packages that the settings give to sandboxed programs.

    Raises:
        SettingsError: their folder cannot be used.
    """
    if settings.sandbox_packages is None:
        return NO_PACKAGES
    try:
        return packages_in(settings.sandbox_packages, settings.data_dir)
    except ValueError as error:
        raise SettingsError(f"SELFHEAL_SANDBOX_PACKAGES: {error}") from None


ModelUse = Literal["agent", "judge", "optimizer"]

_WITHOUT_KEY: Final[dict[str, str]] = {
    "agent": "no model can be called: set GOOGLE_API_KEY, or SELFHEAL_MODEL to another"
    " provider's model (ollama:…, openai:…, anthropic:…), or run `make serve` in another"
    " terminal, which starts a simulated Gemini",
    "judge": "the judge cannot be called: set SELFHEAL_JUDGE_API_KEY or GOOGLE_API_KEY, or"
    " SELFHEAL_JUDGE_MODEL to another provider's model (ollama:…, openai:…, anthropic:…),"
    " or run `make serve` in another terminal, which starts a simulated Gemini",
}


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model, what it is used for, and the setting that names it.

    `key` is what it is called with, where that is not its provider's key in the environment.
    """

    use: ModelUse
    setting: str
    name: str
    key: SecretStr | None = None
    fallback: bool = False


def models_for(settings: Settings, use: ModelUse) -> tuple[ModelChoice, ...]:
    """Return the models for a use, the first choice first, its fall-backs behind it."""
    named = {
        "agent": ("SELFHEAL_MODEL", settings.model, None),
        "judge": ("SELFHEAL_JUDGE_MODEL", settings.judge_model, settings.judge_api_key),
        "optimizer": ("SELFHEAL_OPTIMIZER_MODEL", settings.optimizer_model, None),
    }
    setting, name, key = named[use]
    first = ModelChoice(use, setting if name else "SELFHEAL_MODEL", name or settings.model, key)
    return first, *(
        ModelChoice(use, "SELFHEAL_FALLBACK_MODELS", each, _same_provider(first, each), True)
        for each in settings.fallback_models
    )


def every_model(settings: Settings) -> list[ModelChoice]:
    """Return all models that the settings name, each once for each key that it is called with."""
    uses: tuple[ModelUse, ...] = ("agent", "judge", "optimizer")
    found: dict[tuple[str, SecretStr | None], ModelChoice] = {}
    for use in uses:
        for each in models_for(settings, use):
            found.setdefault((each.name, _key(settings, each)), each)
    return list(found.values())


def require_model(settings: Settings) -> None:
    """Check that agent and judge can be called, before anything is opened.

    Raises:
        SettingsError: no model can be called: there is no key for Gemini, and no other is named.
    """
    _require_key(settings, models_for(settings, "agent")[0])
    require_judge(settings)


def require_judge(settings: Settings) -> None:
    """Check that the judge can be called; the worker's key is no concern of it.

    Raises:
        SettingsError: there is no key for the judge.
    """
    _require_key(settings, models_for(settings, "judge")[0])


@asynccontextmanager
async def open_model(
    settings: Settings, chosen: Sequence[ModelChoice], seconds: float | None = None
) -> AsyncIterator[Model]:
    """Open a model with its fall-backs.

    Args:
        settings: where the models are from.
        chosen: the first choice, then its fall-backs.
        seconds: for a call as a whole; else as the settings say.

    Raises:
        SettingsError: one of them cannot be used; the message names the setting that it is from.
    """
    for each in chosen:
        _require_key(settings, each)
    try:
        model = Model(
            [each.name for each in chosen],
            keys={each.name: each.key for each in chosen},
            timeout=seconds or settings.model_timeout_seconds,
            secrets=frozenset(secret_values()),
        )
    except ModelSetupError as error:
        setting = next(each.setting for each in chosen if each.name == error.model)
        raise SettingsError(f"{setting}: {error}") from error
    try:
        yield model
    finally:
        await model.aclose()


def _same_provider(first: ModelChoice, name: str) -> SecretStr | None:
    """Return the first choice's key for a fall-back, if it is of the same provider."""
    return first.key if name.partition(":")[0] == first.name.partition(":")[0] else None


def _key(settings: Settings, choice: ModelChoice) -> SecretStr | None:
    """Return the key that a model is called with, as far as the settings know it."""
    gemini = choice.name.startswith("google_genai:")
    return choice.key or (settings.google_api_key if gemini else None)


def _require_key(settings: Settings, choice: ModelChoice) -> None:
    if not choice.name.startswith("google_genai:") or _key(settings, choice):
        return
    general = f"{choice.setting}: {choice.name} cannot be called: set GOOGLE_API_KEY"
    raise SettingsError(general if choice.fallback else _WITHOUT_KEY.get(choice.use, general))
