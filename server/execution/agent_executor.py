"""Executing one claimed run of the agent: from its input or its last checkpoint to its result."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from langchain_core.runnables import RunnableConfig

from selfheal.app.errors import ErrorOutcome, RequestError, RunError
from selfheal.app.llm.usage import Usage
from selfheal.db import threads, version_stats
from selfheal.db.checkpoints import FencedSaver
from selfheal.db.claims import Claim
from selfheal.db.errors import DatabaseError
from selfheal.db.pool import Database
from selfheal.db.runs import RunResult
from selfheal.db.types import Agent
from selfheal.graph.build import AgentGraph
from selfheal.graph.context import Context, ReleasedPrompts
from selfheal.graph.state import Evaluation, Result
from selfheal.server.execution.events import EventFormatter, EventWriter, stream
from selfheal.server.observability.langsmith import LangSmith, traced_run
from selfheal.server.serialization import loads
from selfheal.server.settings import ServerSettings

logger = logging.getLogger(__name__)


class AgentExecutor:
    """Runs the agent for a claim. Whether a write counts is decided by the claim."""

    def __init__(
        self,
        settings: ServerSettings,
        database: Database,
        context: Context,
        graph: AgentGraph,
        langsmith: LangSmith,
    ) -> None:
        self._settings = settings
        self._database = database
        self._context = context
        self._graph = graph
        self._langsmith = langsmith

    async def execute(self, claim: Claim, events: EventWriter) -> RunResult:
        """Run the graph to its end, and store its events.

        Raises:
            ClaimLostError: another process has claimed the run.
            DatabaseError: Postgres cannot be reached; another process will resume the run from its
                last checkpoint.
        """
        saver = FencedSaver(self._database.pool, claim)
        graph = self._graph.copy(update={"checkpointer": saver})
        request = claim.options.input or {}
        public_url = self._settings.public_url
        with traced_run(claim.id, claim.thread_id, request, claim.metadata, public_url) as traced:
            failure = await self._run_graph(graph, claim, events)
            await events.flush()
            values = (await graph.aget_state(_head(claim))).values
            result = _result(values, await self._written(claim, values), failure)
            if traced:
                traced.end(result, await self._arms(result.prompt_versions or {}))
        if result.evaluation:
            self._langsmith.send_evaluation(claim.id, result.evaluation)
        return result

    async def _run_graph(
        self, graph: AgentGraph, claim: Claim, events: EventWriter
    ) -> "_Failure | None":
        """Run the graph; return why it failed, None if it did not."""
        options, config = claim.options, run_config(claim)
        formatter = EventFormatter(options.stream_mode)
        try:
            async with asyncio.timeout(self._settings.run_timeout_seconds):
                start, unfinished = await _start(graph, claim, config)
                if unfinished:
                    arguments = self._graph_arguments(claim)
                    chunks = stream(graph, start, config, options.stream_mode, **arguments)
                    async for mode, chunk in chunks:
                        for event in formatter.events(mode, chunk):
                            events.write(*event)
        except RunError as error:
            unusable = cast("Agent | None", error.unusable_agent)
            return _Failure(error.outcome, str(error), error.prompt_versions, unusable=unusable)
        except TimeoutError:
            seconds = self._settings.run_timeout_seconds
            return _Failure("infrastructure", f"the run took over {seconds:g} s", timed_out=True)
        except DatabaseError:
            raise
        except Exception:
            logger.exception("run %s failed", claim.id, extra={"outcome": "infrastructure"})
            return _Failure("infrastructure", "internal error; see the log")
        return None

    def _graph_arguments(self, claim: Claim) -> dict[str, Any]:
        """Return how the graph is run: with the prompts that are live for the thread."""
        options = claim.options
        prompts = ReleasedPrompts(self._database, claim.thread_id)
        context = replace(self._context, prompts=prompts, thread_id=claim.thread_id)
        return {
            "output_keys": self._graph.output_channels,
            "context": {"context": context},
            "interrupt_before": options.interrupt_before,
            "interrupt_after": options.interrupt_after,
            "durability": options.durability or "async",
        }

    async def _written(self, claim: Claim, values: Mapping[str, Any]) -> set[str]:
        """Return which keys of the thread's state are of this run, not left by an earlier one."""
        if claim.options.temporary:  # no other run has its thread
            return set(values)
        async with self._database.connection() as connection:
            return await threads.written_keys(
                connection,
                claim.thread_id,
                claim.id,
                has_input=claim.options.input is not None,
            )

    async def _arms(self, versions: Mapping[str, int]) -> dict[str, version_stats.Side]:
        """Return the run's arm of each active canary."""
        async with self._database.connection() as connection:
            return await version_stats.canary_sides(connection, versions)


@dataclass(frozen=True, slots=True)
class _Failure:
    outcome: ErrorOutcome
    message: str
    prompt_versions: dict[str, int] = field(default_factory=dict)
    timed_out: bool = False
    unusable: Agent | None = None


def run_config(claim: Claim) -> RunnableConfig:
    """Return the config that the graph is run with."""
    place = {"thread_id": str(claim.thread_id)}
    if claim.options.checkpoint_id is not None:
        place["checkpoint_id"] = claim.options.checkpoint_id
    return RunnableConfig(
        configurable=place,
        # Without the client's metadata: it would be stored with each checkpoint and each event.
        metadata={"run_id": str(claim.id), "run_attempt": claim.attempt},
        tags=list(claim.options.tags),
        recursion_limit=claim.options.recursion_limit,
    )


def _head(claim: Claim) -> RunnableConfig:
    """Return the config of a thread's newest state."""
    return RunnableConfig(configurable={"thread_id": str(claim.thread_id)})


async def _start(graph: AgentGraph, claim: Claim, config: RunnableConfig) -> tuple[Any, bool]:
    """Return the graph's input, and whether anything is left to run.

    A run that another process started is resumed from its own last checkpoint; one that was killed
    after its last node only lacks its result. A run without input continues from its thread's
    state. What is left is read off the pending tasks: `next` omits those that have ended but are
    not applied yet.

    Raises:
        RequestError: it has no input, and its thread has no state.
    """
    request = claim.options.input
    if claim.attempt > 1:
        state = await graph.aget_state(_head(claim))
        metadata = state.metadata or {}
        # After the checkpoint of the input alone, the tasks that it leads to may not be stored yet.
        if metadata.get("run_id") == str(claim.id) and metadata.get("source") != "input":
            config["configurable"].pop("checkpoint_id", None)
            return None, bool(state.tasks)
    if request is not None:
        return request, True
    state = await graph.aget_state(config)
    if not state.values:
        raise RequestError("the thread has no state to continue from: give it an input")
    return None, bool(state.tasks)


def _result(values: Mapping[str, Any], written: set[str], failure: _Failure | None) -> RunResult:
    """Return what is stored of a run.

    Args:
        values: the thread's state.
        written: the keys of it that are the run's own.
        failure: why the graph failed; None if it did not.
    """
    own = {key: value for key, value in values.items() if key in written}
    evaluation = own.get("evaluation")
    usage: dict[str, Usage] = own.get("usage", {})
    versions = {**own.get("prompt_versions", {}), **(failure.prompt_versions if failure else {})}
    return RunResult(
        outcome=failure.outcome if failure else _verdict(evaluation),
        message=failure.message if failure else "",
        timed_out=bool(failure and failure.timed_out),
        output={key: own[key] for key in Result.__annotations__ if key in own},
        plan=own.get("plan"),
        code=own.get("code"),
        explanation=own.get("explanation"),
        prompt_versions=versions,
        model=own.get("model"),
        model_calls=sum(each["calls"] for each in usage.values()),
        input_tokens=sum(each["input_tokens"] for each in usage.values()),
        output_tokens=sum(each["output_tokens"] for each in usage.values()),
        usage=usage,
        unusable=failure.unusable if failure else None,
        evaluation=None if failure else evaluation,
        values=loads(values) or None,
    )


def _verdict(evaluation: Evaluation | None) -> Literal["ok", "failed"] | None:
    """Return the outcome of a run that did not fail; None if it was interrupted."""
    if evaluation is None:
        return None
    return "ok" if evaluation["passed"] else "failed"
