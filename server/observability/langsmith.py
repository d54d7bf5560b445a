"""LangSmith: a trace for each run, never in the way of one."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from importlib import import_module
from time import monotonic
from typing import Any, Final
from uuid import UUID

from langsmith import RunTree, run_trees, utils
from langsmith.run_helpers import trace, tracing_context

from selfheal.app.tracing import Purpose, tag, traced
from selfheal.db.runs import Finish
from selfheal.db.settings import SettingsError, variables
from selfheal.graph.remote import PURPOSE
from selfheal.server.observability.langsmith_feedback import Traces
from selfheal.server.settings import ServerSettings

_DRAIN_SECONDS: Final = 2.0
# What these libraries would otherwise have larger, or not at all.
_BOUNDS: Final = ("langsmith_use_daemon", "langsmith_tracing_queue_max_size", "otel_timeout")
_PLACE: Final = "langsmith-trace"


@asynccontextmanager
async def tracing() -> AsyncIterator[Traces]:
    """Bound what tracing may hold in memory, and how it may delay the exit.

    Enter it before the first run: the client reads these settings once.

    Raises:
        SettingsError: a collector is to get the traces, and what sends them is not installed.
    """
    for name in _BOUNDS:
        os.environ.setdefault(
            variables(ServerSettings, name)[0], str(ServerSettings.model_fields[name].default)
        )
    traces = Traces()
    if utils.tracing_is_enabled():
        mode = _mode()
        if mode != "langsmith":
            _require_otel()
        # The client is made by the first who asks for it. By itself it would add to each trace
        # what the process has in LANGSMITH_… and LANGCHAIN_… variables, and the machine's name.
        run_trees.get_cached_client(omit_traced_runtime_info=True)
        if mode != "otel":  # else there is no LangSmith that could be asked or told
            traces.open()
    try:
        yield traces
    finally:
        await asyncio.to_thread(_close, traces)


def _mode() -> str:
    """Return where traces go as LangSmith's client has it: `langsmith`, `otel`, or `hybrid`."""
    if mode := utils.get_env_var("TRACING_MODE"):
        return mode.lower()
    if utils.is_env_var_truish("OTEL_ONLY"):
        return "otel"
    return "hybrid" if utils.is_env_var_truish("OTEL_ENABLED") else "langsmith"


def _require_otel() -> None:
    """Refuse to begin without the packages: the client would send all to LangSmith instead.

    Raises:
        SettingsError: they are not installed.
    """
    try:
        import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError:
        raise SettingsError(
            "LANGSMITH_TRACING_MODE: sending to a collector needs pip install 'selfheal[otel]'"
        ) from None


def _close(traces: Traces) -> None:
    """Send what is left, for two seconds at most: a dead endpoint must not hang the exit.

    Traces come first: the project to which scores belong may be there only with them.
    """
    if utils.tracing_is_enabled():
        end = monotonic() + _DRAIN_SECONDS
        client = run_trees.get_cached_client()
        client.flush(timeout=_DRAIN_SECONDS / 2)
        traces.close(max(end - monotonic(), 0))
        client.close(timeout=max(end - monotonic(), 0))


class RunTrace:
    """The trace of a run, while it lasts."""

    def __init__(self, tree: RunTree) -> None:
        self._tree = tree

    def ended(self, finish: Finish, arms: Mapping[str, str]) -> None:
        """Tell how the run has ended, and on which arm of a canary it was."""
        known = {"prompt_versions": finish.prompt_versions, "outcome": finish.outcome}
        self._tree.add_metadata({**known, **({"arms": dict(arms)} if arms else {})})
        self._tree.end(outputs=finish.output, error=finish.message or None)


@contextmanager
def traced_run(
    run_id: UUID,
    thread_id: UUID,
    request: Mapping[str, Any],
    noted: Mapping[str, Any],
    public_url: str | None,
) -> Iterator[RunTrace | None]:
    """Trace what happens inside as the run `run_id`; yield its trace, None if nothing is traced.

    Args:
        noted: the run's metadata, as its client gave it.
        public_url: the service's, under which the trace names the run's own address.
    """
    if not utils.tracing_is_enabled():
        yield None
        return
    metadata = {**noted, "run_id": str(run_id), "thread_id": str(thread_id)}
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
    """Trace what a role does for a caller, as a part of the caller's trace if it names one.

    Its place in the trace is read and nothing else: the baggage beside it could name another
    destination.

    Args:
        name: the role's.
        headers: the request's.
        inputs: what is asked of it.

    Yields:
        A dict for what it answers.
    """
    purpose: Purpose = "trial" if headers.get(PURPOSE) == "trial" else "production"
    with _below(headers), traced(name, purpose, inputs) as answered:
        yield answered


def _below(headers: Mapping[str, str]) -> AbstractContextManager[None]:
    place: dict[str | bytes, str | bytes] = {_PLACE: headers[_PLACE]} if _PLACE in headers else {}
    try:
        parent = RunTree.from_headers(place) if place and utils.tracing_is_enabled() else None
    except ValueError:
        parent = None
    return tracing_context(parent=parent) if parent else nullcontext()
