"""One optimizer pass: resumed if its process died, and closed whatever happens."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langsmith import uuid7

from selfheal.app.errors import RunError
from selfheal.db import deployment_stats, healings
from selfheal.db.checkpoints import PoolSaver
from selfheal.db.errors import DatabaseError
from selfheal.db.healings import Healing
from selfheal.db.pool import Connection
from selfheal.db.reasons import Reason, because
from selfheal.db.types import Agent
from selfheal.optimizer.budget import BudgetSpentError
from selfheal.optimizer.build import OptimizerGraph, build_graph
from selfheal.optimizer.context import OptimizerContext, RuntimeContext
from selfheal.optimizer.nodes.conclude import close_healing
from selfheal.optimizer.outcomes import failure_reason, gave_up
from selfheal.optimizer.rollout.preconditions import blocked_by
from selfheal.optimizer.state import Result, State, Trigger
from selfheal.optimizer.tracing import HealingTrace, untraced
from selfheal.optimizer.wording import sentence

logger = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.25  # between two looks at the lease of an open healing
_RECURSION_LIMIT: Final = 50

Watch = Callable[[str, State], None]
"""Called with each state's name and its updates, as it ends."""


class LeaseLostError(Exception):
    """Another process has taken the healing over, since this one renewed its lease too late."""


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of the graph: its checkpoints, where its trace goes, and what it starts with.

    Attributes:
        trigger: None where an abandoned healing is resumed.
        agent: whose prompt was requested, or the healing is about; None if neither.
    """

    graph: OptimizerGraph
    config: RunnableConfig
    trace: HealingTrace
    trigger: Trigger | None
    agent: Agent | None

    @property
    def thread(self) -> str:
        """The id of the healing that it opens or resumes."""
        return str(self.config["configurable"]["thread_id"])

    async def state(self) -> State:
        """Return what the nodes have found so far."""
        return cast("State", (await self.graph.aget_state(self.config)).values)


class Optimizer:
    """Runs the optimizer graph in this process. One healing at a time in a deployment.

    Args:
        context: what its runs share.
        watch: called with each state's name and its updates, as it ends.
    """

    def __init__(
        self, context: OptimizerContext, watch: Watch = lambda _state, _found: None
    ) -> None:
        self._context = context
        self._watch = watch

    async def run(self, trigger: Trigger) -> Result:
        """Run once, for an agent or whichever is the cause; first end an abandoned healing.

        Raises:
            DatabaseError: Postgres cannot be reached or refused; the incumbent stays live.
        """
        try:
            result = await self._run(trigger)
        except Exception as error:
            await self._note("error", because("internal_error", error=type(error).__name__))
            raise
        outcome = "error" if "errored" in result else result["outcome"]
        await self._note(outcome, result.get("reason"))
        return result

    async def resume(self) -> Result | None:
        """Bring an abandoned healing to its end, if there is one."""
        abandoned = await self._take_over()
        return await self._resume(abandoned) if abandoned else None

    async def _note(self, outcome: str, reason: Reason | None) -> None:
        """Store how the run ended: a CronJob's process cannot be queried."""
        try:
            async with self._context.database.connection() as connection:
                await deployment_stats.record_pass(connection, outcome, reason)
        except DatabaseError as error:
            logger.warning("an optimizer pass (%s) could not be counted: %s", outcome, error)

    async def _run(self, trigger: Trigger) -> Result:
        if abandoned := await self._take_over():
            return await self._resume(abandoned)
        agent = trigger.get("agent")
        if blocked := await blocked_by(self._context.database):
            return Result(agent=agent, outcome=blocked.outcome, reason=blocked.reason)
        return await self._execute(str(uuid7()), trigger, agent)

    async def _resume(self, healing: Healing) -> Result:
        return await self._execute(str(healing.id), None, healing.agent)

    async def _take_over(self) -> Healing | None:
        """Return an abandoned healing, now ours.

        At first it is unknown whether the holder of an open one is alive: wait until its lease is
        renewed, or expires.
        """
        first: datetime | None = None
        while True:
            async with self._context.database.connection() as connection:
                taken = await healings.take_over(
                    connection, self._context.holder, self._context.settings.lease_seconds
                )
                one = None if taken else await healings.open_one(connection)
            if one is None or (first is not None and one.lease_until != first):
                return taken
            first = one.lease_until
            await asyncio.sleep(_POLL_SECONDS)

    async def _execute(self, thread: str, trigger: Trigger | None, agent: Agent | None) -> Result:
        saver = PoolSaver(self._context.database.pool)
        run = _Run(
            build_graph(saver),
            RunnableConfig(configurable={"thread_id": thread}, recursion_limit=_RECURSION_LIMIT),
            HealingTrace(UUID(thread), trigger or {}, resumed=trigger is None),
            trigger,
            agent,
        )
        try:
            with untraced():
                errored = await self._to_the_end(run)
        except LeaseLostError:
            lost = because("lease_lost")
            return Result(agent=agent, outcome="busy", reason=lost, healing_id=thread)
        state = await run.state()
        result = _result(state, agent)
        if errored:
            result["errored"] = True
        shown = {**result, "reason": sentence(result.get("reason"))}
        run.trace.end(shown, **self._trace_metadata(state, result))
        if "healing_id" not in result:  # nothing was opened, so nothing can be resumed
            await saver.adelete_thread(thread)
        return result

    def _trace_metadata(self, state: State, result: Result) -> dict[str, object]:
        """Return what a trace is found by: healing, agent, trigger, outcome, versions, address."""
        healing_id, base = result.get("healing_id"), self._context.settings.public_url
        return {
            "healing_id": healing_id,
            "agent": result["agent"],
            "trigger": state.get("trigger"),
            "outcome": result["outcome"],
            "from_version": state["incumbent"]["version"] if "incumbent" in state else None,
            "to_version": result.get("to_version"),
            "healing_url": f"{base}/healings/{healing_id}" if base and healing_id else None,
        }

    async def _to_the_end(self, run: _Run) -> bool:
        """Follow a run through its states, or give it up; return whether an error ended it.

        Raises:
            LeaseLostError: another process has the healing now.
        """
        try:
            if run.trigger is None and not (await run.graph.aget_state(run.config)).next:
                await self._give_up(run, because("checkpoints_missing"))
                return True
            async with self._leased(run.thread):
                await self._follow(run)
        except (BudgetSpentError, RunError) as error:
            await self._give_up(run, failure_reason(error))
            return isinstance(error, RunError)
        except (asyncio.CancelledError, DatabaseError, LeaseLostError):
            raise  # the lease expires, and the next run resumes here
        except Exception as error:
            logger.exception("healing %s failed", run.thread)
            await self._give_up(run, because("internal_error", error=type(error).__name__))
            return True
        return False

    async def _follow(self, run: _Run) -> None:
        stream = run.graph.astream(
            run.trigger,
            run.config,
            context=RuntimeContext(context=self._context, trace=run.trace),
            stream_mode="updates",
            durability="sync",
        )
        async for updates in stream:
            for state, found in updates.items():
                self._watch(state, cast("State", found or {}))

    @contextlib.asynccontextmanager
    async def _leased(self, thread: str) -> AsyncIterator[None]:
        """Renew the lease while the body runs; cancel the body when the lease is lost."""
        owner = asyncio.current_task()
        assert owner is not None  # noqa: S101 - we are in a coroutine
        renewing = asyncio.create_task(self._renew(thread))
        renewing.add_done_callback(lambda task: None if task.cancelled() else owner.cancel())
        try:
            yield
        except asyncio.CancelledError:
            if renewing.done() and not renewing.cancelled():
                owner.uncancel()
                raise LeaseLostError from None
            raise
        finally:
            renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewing

    async def _renew(self, thread: str) -> None:
        """Renew the lease until cancelled; return when another process has it."""
        lease = self._context.settings.lease_seconds
        held = False
        while True:
            await asyncio.sleep(lease / 4)
            try:
                async with self._context.database.connection() as connection:
                    mine = await healings.renew(connection, self._context.hold(thread), lease)
            except DatabaseError as error:
                logger.warning("the lease of healing %s was not renewed: %s", thread, error)
                continue
            if held and not mine and await self._is_open(thread):
                return
            held = held or mine

    async def _is_open(self, thread: str) -> bool:
        async with self._context.database.connection() as connection:
            one = await healings.open_one(connection)
        return one is not None and str(one.id) == thread

    async def _give_up(self, run: _Run, why: Reason) -> None:
        """Close the healing: the incumbent stays, and the receipt says why.

        Raises:
            LeaseLostError: it is not ours to close, and its checkpoints not ours to write.
        """
        state = await run.state()
        ended = gave_up(state.get("outcome"), why)  # type: ignore[arg-type]
        updates = State(outcome=ended.outcome, reason=ended.reason)
        hold = self._context.hold(run.thread)

        async def close(connection: Connection) -> None:
            if await healings.holds(connection, hold):
                updates["healing_id"] = run.thread
                await close_healing(
                    connection, hold, {**_NOTHING_FOUND, **state}, ended, gave_up=True
                )
            elif "healing_id" in state:
                raise LeaseLostError

        await self._context.database.run(close)
        await run.graph.aupdate_state(run.config, updates, "conclude")


_NOTHING_FOUND: Final = State(failed_run_ids=[], errors=0, proposals=[], gates=[])


def _result(state: State, agent: Agent | None) -> Result:
    agent = state.get("agent", agent)
    result = Result(agent=agent, outcome=state["outcome"], reason=state["reason"])
    if healing_id := state.get("healing_id"):
        result["healing_id"] = healing_id
        result["to_version"] = state.get("to_version")
    return result
