"""One claimed run of the agent: from its first checkpoint or its last one, to what is recorded."""

import asyncio
import logging
from dataclasses import dataclass, field, replace
from typing import Any, Final

from langchain_core.runnables import RunnableConfig

from db.checkpoints import FencedSaver
from db.claims import Claim
from db.errors import DatabaseError
from db.pool import Database
from db.runs import Finish
from graph.build import AgentGraph
from graph.context import Context, ReleasedPrompts
from graph.errors import InfrastructureError, RequestError, RunError
from graph.settings import Settings
from graph.state import Result, Usage, merge
from server.events import Teller, follow
from server.plain import loads
from server.tape import Tape
from server.tracing import traced_run

logger = logging.getLogger(__name__)

_RECURSION: Final = 25
_OUTPUT: Final = tuple(Result.__annotations__)
_GIVEN_BY: Final = {"worker": ("code", "explanation"), "evaluator": ("evaluation",)}


@dataclass
class Seen:
    """What a run has given so far, as the log needs it."""

    state: dict[str, Any] = field(default_factory=lambda: {"prompt_versions": {}, "usage": {}})
    output: dict[str, Any] | None = None
    interrupted: bool = False

    def go_on_from(self, values: dict[str, Any]) -> None:
        """Start from a thread's state, without what an earlier run has left in it.

        The manager begins the record of prompt versions anew, so an agent that is not in it has
        not had its turn yet.
        """
        had_their_turn = values.get("prompt_versions", {}).keys()
        stale = {key for agent, keys in _GIVEN_BY.items() if agent not in had_their_turn for key in keys}
        kept = {key: value for key, value in values.items() if key not in stale}
        self.state = {"prompt_versions": {}, "usage": {}} | kept
        self.output = {key: kept[key] for key in _OUTPUT if key in kept}

    def take(self, mode: str, chunk: Any) -> None:
        """Take in one thing that the graph said."""
        if mode == "values":
            self.output = chunk
        if mode != "updates":
            return
        for node, update in chunk.items():
            if node == "__interrupt__":
                self.interrupted = True
            elif isinstance(update, dict):
                merge(self.state, update)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of a graph ended: what is recorded, and the state that its thread is left in."""

    finish: Finish
    values: dict[str, Any] | None = None


class AgentRun:
    """Runs the agent for a claim. The claim, not this process, decides whether it counts."""

    def __init__(
        self, settings: Settings, database: Database, context: Context, graph: AgentGraph
    ) -> None:
        self._settings = settings
        self._database = database
        self._context = context
        self._graph = graph

    async def perform(self, claim: Claim, tape: Tape) -> Ended:
        """Bring the run to its end, telling of it on the tape.

        Raises:
            ClaimLostError: the run is another's now.
            DatabaseError: Postgres cannot be reached; somebody will go on from the last checkpoint.
        """
        saver = FencedSaver(self._database.pool, claim)
        graph = self._graph.copy(update={"checkpointer": saver})
        config, seen = config_of(claim), Seen()
        given = claim.kwargs.get("input")
        with traced_run(claim.id, claim.thread_id, given or {}) as metadata:
            failure = await self._follow(graph, claim, config, seen, tape)
            finish = _finish(seen, failure)
            metadata["prompt_versions"] = seen.state["prompt_versions"]
            metadata["error_class"] = finish.outcome
        await tape.flush()
        values = (await graph.aget_state(config)).values or None
        return Ended(finish, loads(values))

    async def _follow(
        self, graph: AgentGraph, claim: Claim, config: RunnableConfig, seen: Seen, tape: Tape
    ) -> "_Failed | None":
        """Run the graph; return how it failed, if so."""
        teller = Teller(claim.kwargs.get("stream_mode") or ())
        try:
            async with asyncio.timeout(self._settings.run_timeout_seconds):
                start, something_left = await _start(graph, claim, config, seen)
                if not something_left:
                    return None
                async for mode, chunk in follow(graph, start, config, **self._options(claim)):
                    seen.take(mode, chunk)
                    for event in teller.events(mode, chunk):
                        tape.tell(*event)
        except RunError as error:
            seen.state["prompt_versions"] |= error.prompt_versions
            return _Failed(error, str(error))
        except TimeoutError:
            seconds = self._settings.run_timeout_seconds
            return _Failed(InfrastructureError(""), f"the run took over {seconds:g} s", True)
        except DatabaseError:
            raise
        except Exception:
            logger.exception("run %s broke", claim.id)
            return _Failed(InfrastructureError(""), "an internal error; the log has it")
        return None

    def _options(self, claim: Claim) -> dict[str, Any]:
        """Return how the graph is run: the prompts live for the thread, and what was asked for."""
        kwargs = claim.kwargs
        prompts = ReleasedPrompts(self._database, claim.thread_id)
        return {
            "modes": kwargs.get("stream_mode") or (),
            "context": {"context": replace(self._context, prompts=prompts)},
            "interrupt_before": kwargs.get("interrupt_before"),
            "interrupt_after": kwargs.get("interrupt_after"),
            "durability": kwargs.get("durability") or "async",
        }


@dataclass(frozen=True, slots=True)
class _Failed:
    error: RunError
    message: str
    timed_out: bool = False


def config_of(claim: Claim) -> RunnableConfig:
    """Return what the graph is told of a run. Of a client's config only what is harmless."""
    given = claim.kwargs.get("config") or {}
    place = {"thread_id": str(claim.thread_id)}
    if wanted := claim.kwargs.get("checkpoint_id"):
        place["checkpoint_id"] = wanted
    return RunnableConfig(
        configurable=place,
        metadata={**claim.metadata, "run_id": str(claim.id), "run_attempt": claim.attempt},
        tags=list(given.get("tags") or ()),
        recursion_limit=int(given.get("recursion_limit") or _RECURSION),
    )


async def _start(
    graph: AgentGraph, claim: Claim, config: RunnableConfig, seen: Seen
) -> tuple[Any, bool]:
    """Return what the graph is given, and whether there is anything left to run.

    A run that somebody else began goes on behind its own last checkpoint; killed behind its last
    node, it only lacks its result. One that was asked for without input goes on with its thread.
    """
    given = claim.kwargs.get("input")
    if claim.attempt > 1:
        head = RunnableConfig(configurable={"thread_id": str(claim.thread_id)})
        state = await graph.aget_state(head)
        if (state.metadata or {}).get("run_id") == str(claim.id):
            config["configurable"].pop("checkpoint_id", None)
            seen.go_on_from(state.values)
            return None, bool(state.next)
    if given is not None:
        return given, True
    state = await graph.aget_state(config)
    if not state.values:
        raise RequestError("there is nothing to go on with: give the thread an input")
    seen.go_on_from(state.values)
    return None, bool(state.next)


def _finish(seen: Seen, failure: _Failed | None) -> Finish:
    state = seen.state
    evaluation = state.get("evaluation")
    usages: list[Usage] = list(state["usage"].values())
    passed = "ok" if evaluation and evaluation["passed"] else "failed"
    interrupted = failure is None and (seen.interrupted or not evaluation)
    outcome = failure.error.error_class if failure else None if interrupted else passed
    return Finish(
        outcome=outcome,  # type: ignore[arg-type]
        message=failure.message if failure else "",
        timed_out=bool(failure and failure.timed_out),
        output=None if failure else loads(seen.output),
        plan=state.get("plan"),
        code=state.get("code"),
        explanation=state.get("explanation"),
        prompt_versions=state["prompt_versions"],
        model=state.get("model"),
        model_calls=sum(usage["calls"] for usage in usages),
        input_tokens=sum(usage["input_tokens"] for usage in usages),
        output_tokens=sum(usage["output_tokens"] for usage in usages),
        evaluation=evaluation if not interrupted and not failure else None,
    )
