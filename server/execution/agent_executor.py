"""One claimed run of the agent: from its first checkpoint or its last one, to what is recorded."""

import asyncio
import itertools
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from langchain_core.runnables import RunnableConfig
from langgraph.types import StateSnapshot

from selfheal.app.errors import ErrorOutcome, RequestError, RunError
from selfheal.app.llm.usage import Usage
from selfheal.db import version_stats
from selfheal.db.checkpoints import FencedSaver
from selfheal.db.claims import Claim
from selfheal.db.errors import DatabaseError
from selfheal.db.pool import Database
from selfheal.db.runs import Finish
from selfheal.graph.build import AgentGraph
from selfheal.graph.context import Context, ReleasedPrompts
from selfheal.graph.state import Evaluation, Result
from selfheal.server.execution.event_writer import Tape
from selfheal.server.execution.stream_events import Teller, follow
from selfheal.server.observability.langsmith import traced_run
from selfheal.server.observability.langsmith_feedback import Traces
from selfheal.server.serialization import loads
from selfheal.server.settings import ServerSettings

logger = logging.getLogger(__name__)

_RECURSION: Final = 25
_MADE_BY: Final = {
    "manager": ("plan", "model", "prompt_versions", "usage"),
    "worker": ("code", "explanation"),
    "evaluator": ("evaluation",),
}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of a graph ended: what is recorded, and the state that its thread is left in."""

    finish: Finish
    values: dict[str, Any] | None = None


class AgentRun:
    """Runs the agent for a claim. The claim, not this process, decides whether it counts."""

    def __init__(
        self,
        settings: ServerSettings,
        database: Database,
        context: Context,
        graph: AgentGraph,
        traces: Traces,
    ) -> None:
        self._settings = settings
        self._database = database
        self._context = context
        self._graph = graph
        self._traces = traces

    async def perform(self, claim: Claim, tape: Tape) -> Ended:
        """Bring the run to its end, telling of it on the tape.

        Raises:
            ClaimLostError: the run is another's now.
            DatabaseError: Postgres cannot be reached; somebody will go on from the last checkpoint.
        """
        saver = FencedSaver(self._database.pool, claim)
        graph = self._graph.copy(update={"checkpointer": saver})
        config = config_of(claim)
        given = claim.kwargs.get("input") or {}
        public_url = self._settings.public_url
        noted = claim.metadata
        with traced_run(claim.id, claim.thread_id, given, noted, public_url) as traced:
            failure = await self._follow(graph, claim, config, tape)
            await tape.flush()
            left = await graph.aget_state(_head(claim))
            finish = _finish(left, failure)
            if traced:
                traced.ended(finish, await self._arms(finish.prompt_versions or {}))
        if finish.evaluation:
            self._traces.evaluated(claim.id, finish.evaluation)
        return Ended(finish, loads(left.values) or None)

    async def _arms(self, versions: Mapping[str, int]) -> dict[str, version_stats.Side]:
        """Return on which arm the run was, of each agent that has a canary under way now."""
        async with self._database.connection() as connection:
            return await version_stats.canary_sides(connection, versions)

    async def _follow(
        self, graph: AgentGraph, claim: Claim, config: RunnableConfig, tape: Tape
    ) -> "_Failed | None":
        """Run the graph; return how it failed, if so."""
        modes = claim.kwargs.get("stream_mode") or ()
        teller = Teller(modes)
        try:
            async with asyncio.timeout(self._settings.run_timeout_seconds):
                start, something_left = await _start(graph, claim, config)
                if something_left:
                    stream = follow(graph, start, config, modes, **self._options(claim))
                    async for mode, chunk in stream:
                        for event in teller.events(mode, chunk):
                            tape.tell(*event)
        except RunError as error:
            return _Failed(error.outcome, str(error), error.prompt_versions)
        except TimeoutError:
            seconds = self._settings.run_timeout_seconds
            return _Failed("infrastructure", f"the run took over {seconds:g} s", timed_out=True)
        except DatabaseError:
            raise
        except Exception:
            logger.exception("run %s broke", claim.id, extra={"outcome": "infrastructure"})
            return _Failed("infrastructure", "an internal error; the log has it")
        return None

    def _options(self, claim: Claim) -> dict[str, Any]:
        """Return how the graph is run: the prompts live for the thread, and what was asked for."""
        kwargs = claim.kwargs
        prompts = ReleasedPrompts(self._database, claim.thread_id)
        context = replace(self._context, prompts=prompts, thread_id=claim.thread_id)
        return {
            "output_keys": self._graph.output_channels,
            "context": {"context": context},
            "interrupt_before": kwargs.get("interrupt_before"),
            "interrupt_after": kwargs.get("interrupt_after"),
            "durability": kwargs.get("durability") or "async",
        }


@dataclass(frozen=True, slots=True)
class _Failed:
    outcome: ErrorOutcome
    message: str
    prompt_versions: dict[str, int] = field(default_factory=dict)
    timed_out: bool = False


def config_of(claim: Claim) -> RunnableConfig:
    """Return what the graph is told of a run. Of a client's config only what is harmless."""
    given = claim.kwargs.get("config") or {}
    place = {"thread_id": str(claim.thread_id)}
    if (wanted := claim.kwargs.get("checkpoint_id")) is not None:
        place["checkpoint_id"] = wanted
    return RunnableConfig(
        configurable=place,
        # Not what the client noted: it would be kept again with each checkpoint and each event.
        metadata={"run_id": str(claim.id), "run_attempt": claim.attempt},
        tags=list(given.get("tags") or ()),
        recursion_limit=int(given.get("recursion_limit") or _RECURSION),
    )


def _head(claim: Claim) -> RunnableConfig:
    """Return where a thread's newest state is."""
    return RunnableConfig(configurable={"thread_id": str(claim.thread_id)})


async def _start(graph: AgentGraph, claim: Claim, config: RunnableConfig) -> tuple[Any, bool]:
    """Return what the graph is given, and whether there is anything left to run.

    Told by the pending tasks: `next` leaves out those that have ended and are not applied yet.

    A run that somebody else began goes on behind its own last checkpoint; killed behind its last
    node, it only lacks its result. One that was asked for without input goes on with its thread.
    """
    given = claim.kwargs.get("input")
    if claim.attempt > 1:
        state = await graph.aget_state(_head(claim))
        metadata = state.metadata or {}
        # Behind the checkpoint of its input alone, what the input led to may not be written yet.
        if metadata.get("run_id") == str(claim.id) and metadata.get("source") != "input":
            config["configurable"].pop("checkpoint_id", None)
            return None, bool(state.tasks)
    if given is not None:
        return given, True
    state = await graph.aget_state(config)
    if not state.values:
        raise RequestError("there is nothing to go on with: give the thread an input")
    return None, bool(state.tasks)


def _own(left: StateSnapshot) -> dict[str, Any]:
    """Return of a thread's state what this run made: not what an earlier one has left there.

    Nodes come one after another, so those from the pending one on have not had their turn.
    """
    pending = {task.name for task in left.tasks}
    turns = list(itertools.dropwhile(lambda agent: agent not in pending, _MADE_BY))
    waiting = _MADE_BY if "__start__" in pending else turns
    others = {key for agent in waiting for key in _MADE_BY[agent]}
    return {key: value for key, value in left.values.items() if key not in others}


def _finish(left: StateSnapshot, failure: _Failed | None) -> Finish:
    state = _own(left)
    evaluation = state.get("evaluation")
    usages: list[Usage] = list(state.get("usage", {}).values())
    versions = {**state.get("prompt_versions", {}), **(failure.prompt_versions if failure else {})}
    return Finish(
        outcome=failure.outcome if failure else _verdict(evaluation),
        message=failure.message if failure else "",
        timed_out=bool(failure and failure.timed_out),
        output={key: state[key] for key in Result.__annotations__ if key in state},
        plan=state.get("plan"),
        code=state.get("code"),
        explanation=state.get("explanation"),
        prompt_versions=versions,
        model=state.get("model"),
        model_calls=sum(usage["calls"] for usage in usages),
        input_tokens=sum(usage["input_tokens"] for usage in usages),
        output_tokens=sum(usage["output_tokens"] for usage in usages),
        evaluation=None if failure else evaluation,
    )


def _verdict(evaluation: Evaluation | None) -> Literal["ok", "failed"] | None:
    """Return the class of a run that nothing went wrong with; None if it was stopped before."""
    if evaluation is None:
        return None
    return "ok" if evaluation["passed"] else "failed"
