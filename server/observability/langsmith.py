"""LangSmith: a trace of each run, its scores, and the URL of its page. It never delays a run."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import (
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from importlib import import_module
from queue import Full, Queue
from threading import Event, Thread
from time import monotonic
from typing import Any, Final
from uuid import UUID, uuid5

from langsmith import RunTree, run_trees, utils
from langsmith.run_helpers import trace, tracing_context
from langsmith.schemas import TracerSession

from selfheal.app.tracing import Purpose, tag, traced
from selfheal.db.runs import Feedback, RunResult
from selfheal.db.settings import SettingsError, variables
from selfheal.graph.remote import PURPOSE
from selfheal.server.settings import ServerSettings

logger = logging.getLogger(__name__)

_DRAIN_SECONDS: Final = 2.0
# Settings whose defaults in these libraries are larger, or unlimited.
_BOUNDS: Final = ("langsmith_use_daemon", "langsmith_tracing_queue_max_size", "otel_timeout")
_PARENT: Final = "langsmith-trace"

_QUEUE_SIZE: Final = 200  # scores
_FIRST_PAUSE: Final = 0.5  # seconds until the project is looked up again
_LONGEST_PAUSE: Final = 30.0
_ATTEMPTS: Final = 3
_SCORES: Final = ("score", "rule_score", "llm_score", "passed")


class LangSmith:
    """Sends scores to LangSmith, and knows the URLs of traces; does neither until it is opened.

    LangSmith's client may block for minutes, so scores are sent by a thread that no run waits for.
    """

    def __init__(self) -> None:
        self._waiting: Queue[dict[str, Any] | None] = Queue(_QUEUE_SIZE)
        self._closing = Event()
        self._thread: Thread | None = None
        self._project: TracerSession | None = None
        self._full = False

    def open(self) -> None:
        """Start the thread: a daemon, so that an unreachable LangSmith does not delay the exit."""
        self._thread = Thread(target=self._work, name="langsmith-scores", daemon=True)
        self._thread.start()

    def close(self, seconds: float) -> None:
        """Send the scores that wait, for at most so many seconds."""
        if self._thread is not None:
            self._closing.set()
            with suppress(Full):
                self._waiting.put_nowait(None)
            self._thread.join(seconds)
            if unsent := sum(each is not None for each in self._waiting.queue):
                logger.warning("%d scores were not sent to LangSmith", unsent)

    def trace_url(self, trace_id: UUID) -> str | None:
        """Return the URL of a trace; None while its project is not known."""
        return f"{self._project.url}/r/{trace_id}" if self._project else None

    def send_evaluation(self, run_id: UUID, evaluation: Mapping[str, Any]) -> None:
        """Send the scores of a run's evaluation; they replace earlier ones of the same trace."""
        for key in _SCORES:
            if evaluation[key] is not None:
                self._put(run_id, key, float(evaluation[key]), key, feedback_source_type="model")

    def send_feedback(self, feedback: Feedback) -> None:
        """Send a user's feedback on a run."""
        name = f"user_score {feedback.id}"
        comment = feedback.comment or None
        self._put(feedback.run_id, "user_score", feedback.score, name, comment=comment)

    def _put(self, run_id: UUID, key: str, score: float, name: str, **more: Any) -> None:
        """Queue a score. Its id is derived from the run and `name`, so that it is stored once."""
        if self._thread is None:
            return
        ids = {"run_id": run_id, "trace_id": run_id, "feedback_id": uuid5(run_id, name)}
        try:
            self._waiting.put_nowait({**ids, "key": key, "score": score, **more})
            self._full = False
        except Full:
            if not self._full:
                logger.warning(
                    "the queue of scores for LangSmith is full: further ones are dropped"
                )
            self._full = True

    def _work(self) -> None:
        """Look up the project, then send scores until the queue is closed."""
        pause = _FIRST_PAUSE
        while (project := self._find_project()) is None:
            if self._closing.is_set():
                return
            self._closing.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        self._project = project
        while (score := self._waiting.get()) is not None:
            self._send({**score, "session_id": project.id})

    def _find_project(self) -> TracerSession | None:
        """Return the project; None while it does not exist: its first trace creates it."""
        client = run_trees.get_cached_client()
        try:
            project: TracerSession = client.read_project(project_name=utils.get_tracer_project())
            return project
        except Exception as error:
            logger.debug("the LangSmith project could not be looked up: %s", error)
            return None

    def _send(self, score: dict[str, Any]) -> None:
        try:
            client = run_trees.get_cached_client()
            client.create_feedback(**score, stop_after_attempt=_ATTEMPTS)
        except Exception as error:
            refused = (score["key"], score["run_id"], type(error).__name__)
            logger.warning("LangSmith did not accept the %s of run %s: %s", *refused)


@asynccontextmanager
async def tracing() -> AsyncIterator[LangSmith]:
    """Bound what tracing may hold in memory, and how long it may delay the exit.

    Enter it before the first run: the client reads these settings once.

    Raises:
        SettingsError: traces go to a collector, and the packages that send them are not installed.
    """
    for name in _BOUNDS:
        os.environ.setdefault(
            variables(ServerSettings, name)[0], str(ServerSettings.model_fields[name].default)
        )
    langsmith = LangSmith()
    if utils.tracing_is_enabled():
        mode = _mode()
        if mode != "langsmith":
            _require_otel()
        # The first caller creates the client. By default it adds to each trace the process's
        # LANGSMITH_… and LANGCHAIN_… variables, and the machine's name.
        run_trees.get_cached_client(omit_traced_runtime_info=True)
        if mode != "otel":  # else there is no LangSmith to send scores to
            langsmith.open()
    try:
        yield langsmith
    finally:
        await asyncio.to_thread(_close, langsmith)


def _mode() -> str:
    """Return where traces go, as LangSmith's client has it: `langsmith`, `otel`, or `hybrid`."""
    if mode := utils.get_env_var("TRACING_MODE"):
        return mode.lower()
    if utils.is_env_var_truish("OTEL_ONLY"):
        return "otel"
    return "hybrid" if utils.is_env_var_truish("OTEL_ENABLED") else "langsmith"


def _require_otel() -> None:
    """Check that the packages for a collector are installed: else all would go to LangSmith.

    Raises:
        SettingsError: they are not installed.
    """
    try:
        import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError:
        raise SettingsError(
            "LANGSMITH_TRACING_MODE: sending to a collector needs pip install 'selfheal[otel]'"
        ) from None


def _close(langsmith: LangSmith) -> None:
    """Send what is left, for two seconds at most: an unreachable host must not delay the exit.

    Traces come first: they create the project that scores belong to.
    """
    if utils.tracing_is_enabled():
        end = monotonic() + _DRAIN_SECONDS
        client = run_trees.get_cached_client()
        client.flush(timeout=_DRAIN_SECONDS / 2)
        langsmith.close(max(end - monotonic(), 0))
        client.close(timeout=max(end - monotonic(), 0))


class RunTrace:
    """The trace of a run that is being executed."""

    def __init__(self, tree: RunTree) -> None:
        self._tree = tree

    def end(self, result: RunResult, arms: Mapping[str, str]) -> None:
        """Add the result, and the run's arm of each agent's canary."""
        known = {"prompt_versions": result.prompt_versions, "outcome": result.outcome}
        self._tree.add_metadata({**known, **({"arms": dict(arms)} if arms else {})})
        self._tree.end(outputs=result.output, error=result.message or None)


@contextmanager
def traced_run(
    run_id: UUID,
    thread_id: UUID,
    request: Mapping[str, Any],
    client_metadata: Mapping[str, Any],
    public_url: str | None,
) -> Iterator[RunTrace | None]:
    """Trace the body as the run `run_id`.

    Args:
        run_id: the run.
        thread_id: the thread.
        request: what the run was asked for.
        client_metadata: the run's metadata.
        public_url: the service's URL, for the address of the run in the trace.

    Yields:
        The trace, None if tracing is off.
    """
    if not utils.tracing_is_enabled():
        yield None
        return
    metadata = {**client_metadata, "run_id": str(run_id), "thread_id": str(thread_id)}
    if public_url:
        metadata["run_url"] = f"{public_url}/runs/{run_id}"
    tags = [tag("production")]
    with trace(
        "agent run", run_id=run_id, inputs=dict(request), metadata=metadata, tags=tags
    ) as tree:
        yield RunTrace(tree)


@contextmanager
def traced_role(
    name: str, headers: Mapping[str, str], inputs: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Trace the work of a role, below the caller's trace if its headers name one.

    Only the parent's id is read: the baggage beside it could name another destination.

    Args:
        name: the role.
        headers: of the request.
        inputs: of the role.

    Yields:
        A dict for the outputs.
    """
    purpose: Purpose = "trial" if headers.get(PURPOSE) == "trial" else "production"
    with _below(headers), traced(name, purpose, inputs) as outputs:
        yield outputs


def _below(headers: Mapping[str, str]) -> AbstractContextManager[None]:
    named: dict[str | bytes, str | bytes] = {}
    if _PARENT in headers:
        named[_PARENT] = headers[_PARENT]
    try:
        parent = RunTree.from_headers(named) if named and utils.tracing_is_enabled() else None
    except ValueError:
        parent = None
    return tracing_context(parent=parent) if parent else nullcontext()
