"""A pass of the optimizer: resumed if a process died over it, closed whatever happens."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langsmith import uuid7

from selfheal.app.errors import RunError
from selfheal.db import deployment_stats, healings, trials
from selfheal.db.checkpoints import PoolSaver
from selfheal.db.errors import DatabaseError
from selfheal.db.healings import Closing, Healing
from selfheal.db.pool import Connection
from selfheal.db.types import Agent
from selfheal.optimizer.build import OptimizerGraph, build_graph
from selfheal.optimizer.context import Doctor
from selfheal.optimizer.evaluation.budget import BudgetSpentError
from selfheal.optimizer.nodes.conclude import ending
from selfheal.optimizer.outcomes import gave_up
from selfheal.optimizer.receipt.build import receipt
from selfheal.optimizer.rollout.preconditions import standing_by
from selfheal.optimizer.state import Result, State, Trigger
from selfheal.optimizer.tracing import HealingTrace, untraced

logger = logging.getLogger(__name__)

_LOOK_AGAIN: Final = 0.25
_NOTHING_SEEN: Final = {"failed_run_ids": [], "errors": 0, "proposals": [], "gates": []}

Watch = Callable[[str, dict[str, Any]], None]


class LeaseLostError(Exception):
    """This process was so late with its lease that another one took the healing over."""


class Optimizer:
    """Runs passes in this process. One healing at a time in a deployment, whoever asks.

    Args:
        watch: is told each state's name and what it found, as it ends.
    """

    def __init__(self, doctor: Doctor, watch: Watch = lambda _state, _found: None) -> None:
        self._doctor = doctor
        self._watch = watch

    async def run(self, trigger: Trigger) -> Result:
        """Make one pass, for an agent or whichever is to blame; first end an abandoned healing.

        Raises:
            DatabaseError: Postgres cannot be reached or refused; the incumbent stays live.
        """
        try:
            result = await self._pass(trigger)
        except Exception as error:
            await self._note("error", type(error).__name__)
            raise
        outcome = "error" if "errored" in result else result["outcome"]
        await self._note(outcome, result.get("reason", ""))
        return result

    async def _note(self, outcome: str, reason: str) -> None:
        """Store what the pass came to: a CronJob cannot be asked."""
        try:
            async with self._doctor.database.connection() as connection:
                await deployment_stats.record_pass(connection, outcome, reason)
        except DatabaseError as error:
            logger.warning("a pass (%s) could not be counted: %s", outcome, error)

    async def _pass(self, trigger: Trigger) -> Result:
        if abandoned := await self._take_over():
            return await self._heal(abandoned, None, abandoned.agent)
        if waiting := await standing_by(self._doctor.database):
            return Result(agent=trigger.get("agent"), outcome=waiting[0], reason=waiting[1])
        return await self._heal(None, trigger, trigger.get("agent"))

    async def resume(self) -> Result | None:
        """Bring an abandoned healing to its end, if there is one."""
        abandoned = await self._take_over()
        return await self._heal(abandoned, None, abandoned.agent) if abandoned else None

    async def _take_over(self) -> Healing | None:
        """Return an abandoned healing, now ours.

        Of an open one nobody knows at first whether its holder lives: wait until its lease is
        renewed, or runs out.
        """
        first: datetime | None = None
        while True:
            async with self._doctor.database.connection() as connection:
                taken = await healings.take_over(
                    connection, self._doctor.holder, self._doctor.rules.lease_seconds
                )
                one = None if taken else await healings.open_one(connection)
            if one is None or (first is not None and one.lease_until != first):
                return taken
            first = one.lease_until
            await asyncio.sleep(_LOOK_AGAIN)

    async def _heal(
        self, taken: Healing | None, trigger: Trigger | None, agent: Agent | None
    ) -> Result:
        thread = str(taken.id if taken else uuid7())
        traced = HealingTrace(UUID(thread), trigger or {}, resumed=taken is not None)
        config = RunnableConfig(configurable={"thread_id": thread}, recursion_limit=50)
        saver = PoolSaver(self._doctor.database.pool)
        graph = build_graph(saver)
        given = None if taken else trigger
        try:
            with untraced():
                well = await self._through(graph, taken, given, config, traced)
        except LeaseLostError as error:
            return Result(agent=agent, outcome="busy", reason=str(error), healing_id=thread)
        values = (await graph.aget_state(config)).values
        result = _result(values, agent)
        if not well:
            result["errored"] = True
        traced.end(result, **self._facts(values, result))
        return await self._settled(saver, thread, result)

    def _facts(self, values: dict[str, Any], result: Result) -> dict[str, Any]:
        """Return what a trace is found by: healing, agent, trigger, outcome, versions, address."""
        healing_id, base = result.get("healing_id"), self._doctor.public_url
        return {
            "healing_id": healing_id,
            "agent": result["agent"],
            "trigger": values.get("trigger"),
            "outcome": result["outcome"],
            "from_version": values.get("incumbent", {}).get("version"),
            "to_version": result.get("to_version"),
            "healing_url": f"{base}/healings/{healing_id}" if base and healing_id else None,
        }

    async def _through(
        self,
        graph: OptimizerGraph,
        taken: Healing | None,
        given: Trigger | None,
        config: RunnableConfig,
        traced: HealingTrace,
    ) -> bool:
        """Bring a pass to its end: by its states, or by giving up; False if a fault ended it.

        Raises:
            LeaseLostError: another process is at it now.
        """
        thread = config["configurable"]["thread_id"]
        try:
            if taken and not (await graph.aget_state(config)).next:
                await self._give_up(graph, config, "its checkpoints do not say how to go on")
                return False
            async with self._leased(thread):
                await self._follow(graph, given, config, traced)
        except (RunError, BudgetSpentError) as error:
            await self._give_up(graph, config, _words(error))
            return isinstance(error, BudgetSpentError)
        except (asyncio.CancelledError, DatabaseError, LeaseLostError):
            raise  # the lease runs out, and the next pass goes on from here
        except Exception:
            logger.exception("healing %s broke", thread)
            await self._give_up(graph, config, "an internal error; the log has it")
            return False
        return True

    async def _follow(
        self,
        graph: OptimizerGraph,
        given: Trigger | None,
        config: RunnableConfig,
        traced: HealingTrace,
    ) -> None:
        stream = graph.astream(
            given,
            config,
            context={"doctor": self._doctor, "trace": traced},
            stream_mode="updates",
            durability="sync",
        )
        async for updates in stream:
            for state, found in updates.items():
                self._watch(state, found or {})

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
                raise LeaseLostError("another process has taken over this healing") from None
            raise
        finally:
            renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewing

    async def _renew(self, thread: str) -> None:
        """Renew the lease until cancelled; return when somebody else has it."""
        lease = self._doctor.rules.lease_seconds
        held = False
        while True:
            await asyncio.sleep(lease / 4)
            try:
                async with self._doctor.database.connection() as connection:
                    mine = await healings.renew(connection, self._doctor.hold(thread), lease)
            except DatabaseError as error:
                logger.warning("the lease of healing %s was not renewed: %s", thread, error)
                continue
            if held and not mine and await self._is_open(thread):
                return
            held = held or mine

    async def _is_open(self, thread: str) -> bool:
        async with self._doctor.database.connection() as connection:
            one = await healings.open_one(connection)
        return one is not None and str(one.id) == thread

    async def _give_up(self, graph: OptimizerGraph, config: RunnableConfig, why: str) -> None:
        """Close the healing: the incumbent stays, and the receipt says why.

        Raises:
            LeaseLostError: it is not ours to close, and its checkpoints not ours to write.
        """
        values = (await graph.aget_state(config)).values
        thread = config["configurable"]["thread_id"]
        ended: dict[str, Any] = gave_up(values.get("outcome"), why)._asdict()
        hold = self._doctor.hold(thread)

        async def close(connection: Connection) -> None:
            if await healings.holds(connection, hold):
                ended["healing_id"] = thread
                state: State = {**_NOTHING_SEEN, **values, **ended}  # type: ignore[typeddict-item]
                healing = await healings.get(connection, hold.id)
                tried = await trials.trials(connection, hold.id)
                costs = await healings.costs(connection, hold.id)
                written = receipt(state, healing, tried, costs, gave_up=True, **ending(state))
                closing = Closing(ended["outcome"], why, written, errored=True)
                await healings.close(connection, hold, closing)
            elif "healing_id" in values:
                raise LeaseLostError("another process has taken over this healing")

        await self._doctor.database.run(close)
        await graph.aupdate_state(config, ended, "conclude")

    async def _settled(self, saver: PoolSaver, thread: str, result: Result) -> Result:
        """Forget the checkpoints of a pass that opened nothing; the log has the others."""
        if "healing_id" not in result:
            await saver.adelete_thread(thread)
        return result


def _result(values: dict[str, Any], agent: Agent | None) -> Result:
    agent = values.get("agent", agent)
    result = Result(agent=agent, outcome=values["outcome"], reason=values.get("reason", ""))
    if healing_id := values.get("healing_id"):
        result["healing_id"] = healing_id
        result["to_version"] = values.get("to_version")
    return result


def _words(error: Exception) -> str:
    if isinstance(error, BudgetSpentError):
        return str(error)
    return f"the optimizer's model failed: {error}"
