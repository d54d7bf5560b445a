"""The optimizer in this process: passes by the clock, on failures and on request, and as runs."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from selfheal.app.aio import periodic, stop
from selfheal.app.errors import RunError
from selfheal.db.claims import Claim
from selfheal.db.errors import DatabaseError
from selfheal.db.runs import FAILED, Outcome, RunResult
from selfheal.optimizer.context import OptimizerContext
from selfheal.optimizer.evaluation.judge_drift import check_daily
from selfheal.optimizer.rollout.monitor import monitor_releases
from selfheal.optimizer.runner import Optimizer
from selfheal.optimizer.state import Result, State, Trigger
from selfheal.optimizer.wording import sentence, shown_result
from selfheal.server.execution.events import EventWriter
from selfheal.server.serialization import loads

logger = logging.getLogger(__name__)

_PASS_PAUSE: Final = 1.0  # seconds between two passes
_MONITOR_PAUSE: Final = 0.2  # seconds; runs that end together are evaluated together
_JUDGE_DELAY: Final = 5.0  # seconds after the start: a baseline of the judge before anything fails
_JUDGE_POLL: Final = 600.0  # seconds between two looks at whether a day has passed

Watch = Callable[[str, State], None]
"""Called at the end of each state, with its name and its updates."""


class OptimizerScheduler:
    """Starts passes of the optimizer in this process, one at a time.

    Args:
        context: what passes need.
        interval: seconds between two passes; 0 turns off all passes but those on request.
    """

    def __init__(self, context: OptimizerContext, interval: float) -> None:
        self._context = context
        self._interval = interval
        self._failed = asyncio.Event()
        self._recorded = asyncio.Event()
        self._turn = asyncio.Lock()
        self._requested: set[asyncio.Task[Result]] = set()
        self._idle = ""  # the outcome of the last passes, if they opened no healing

    def observe(self, outcome: Outcome) -> None:
        """Take note of a stored run: releases are checked, and a failure starts a pass."""
        self._recorded.set()
        if outcome in FAILED:
            self._failed.set()

    async def monitor(self) -> None:
        """Promote or roll back releases after runs were stored, until cancelled."""

        async def advance() -> None:
            await self._recorded.wait()
            self._recorded.clear()
            await monitor_releases(self._context.database)

        await periodic(advance, _MONITOR_PAUSE, name="monitoring of releases")

    async def check_judge(self) -> None:
        """Check the judge once a day, in one of the processes, until cancelled."""
        if self._interval:
            await periodic(
                lambda: check_daily(self._context),
                _JUDGE_POLL,
                name="the daily check of the judge",
                transient=(DatabaseError, RunError),
                delay=_JUDGE_DELAY,
            )

    async def run(self) -> None:
        """Start passes by the clock and on failures until cancelled."""
        if self._interval:
            await periodic(self._pass, _PASS_PAUSE, name="the optimizer pass")

    async def _pass(self) -> None:
        trigger = await self._next()
        async with self._turn:
            result = await Optimizer(self._context).run(Trigger(trigger=trigger))
        self._report(result)

    async def _next(self) -> str:
        """Wait for a failure or for the clock; return which it was."""
        try:
            async with asyncio.timeout(self._interval):
                await self._failed.wait()
        except TimeoutError:
            return "schedule"
        self._failed.clear()
        return "failure"

    async def request(self, trigger: Trigger) -> dict[str, Any]:
        """Start a pass; return as soon as its healing is open, or it ended without one.

        Returns:
            `agent`, `outcome` (None while the healing is open), `reason`, and `healing_id` if a
            healing was opened.

        Raises:
            DatabaseError: Postgres cannot be reached or refused.
        """
        opened: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def watch(_: str, found: State) -> None:
            if "healing_id" in found and not opened.done():
                opened.set_result(found["healing_id"])

        task = asyncio.create_task(self._on_request(trigger, watch))
        self._requested.add(task)
        task.add_done_callback(self._requested.discard)
        awaited: set[asyncio.Future[Any]] = {task, opened}
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return dict(task.result())
        return {"agent": trigger.get("agent"), "outcome": None, "healing_id": opened.result()}

    async def _on_request(self, trigger: Trigger, watch: Watch) -> Result:
        async with self._turn:
            return await Optimizer(self._context, watch).run(trigger)

    def _report(self, result: Result) -> None:
        """Log a healing's outcome; and why there is none, when that changes."""
        reason = sentence(result.get("reason"))
        if "healing_id" in result:
            logger.warning("healing %s: %s, %s", result["healing_id"], result["outcome"], reason)
        elif result["outcome"] != (self._idle or "healthy"):
            logger.info("no healing: %s, %s", result["outcome"], reason)
        self._idle = "" if "healing_id" in result else result["outcome"]

    async def close(self) -> None:
        """Cancel requested passes: their healings are resumed from the last checkpoint."""
        await stop(*self._requested)


@asynccontextmanager
async def scheduling(scheduler: OptimizerScheduler) -> AsyncIterator[None]:
    """Run a scheduler beside the body."""
    work = (scheduler.run(), scheduler.monitor(), scheduler.check_judge())
    running = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        await stop(*running)
        await scheduler.close()


class OptimizerExecutor:
    """Runs passes of the optimizer for claims. An open healing is resumed by the next pass."""

    def __init__(self, context: OptimizerContext) -> None:
        self._context = context

    async def execute(self, claim: Claim, events: EventWriter) -> RunResult:
        """Run a pass, and store its states as events.

        Raises:
            DatabaseError: Postgres cannot be reached.
        """
        modes = claim.options.stream_mode
        request = claim.options.input or {}

        def watch(state: str, found: State) -> None:
            if "updates" in modes:
                events.write("updates", {state: found})

        trigger = Trigger(trigger="request", forced=bool(request.get("force")))
        if agent := request.get("agent"):
            trigger["agent"] = agent
        try:
            result = shown_result(await Optimizer(self._context, watch).run(trigger))
        except RunError as error:
            return RunResult(error.outcome, str(error))
        if "values" in modes:
            events.write("values", result)
        await events.flush()
        return RunResult("ok", output=loads(result), values=loads(result))
