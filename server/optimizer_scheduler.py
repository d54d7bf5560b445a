"""When passes of the optimizer are made: on the clock, on failures, and when somebody asks."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from selfheal.app.aio import stop
from selfheal.app.errors import RunError
from selfheal.db.errors import DatabaseError
from selfheal.db.runs import Outcome
from selfheal.optimizer.context import OptimizerContext
from selfheal.optimizer.evaluation.judge_drift import check_daily
from selfheal.optimizer.rollout.monitor import monitor_releases
from selfheal.optimizer.runner import Optimizer
from selfheal.optimizer.state import Result, State, Trigger
from selfheal.optimizer.wording import sentence

logger = logging.getLogger(__name__)

_CALM: Final = 1.0  # seconds between two passes that failures ask for
_FIRST_ASKED: Final = 5.0  # seconds after the start: a record of the judge, before anything fails
_ASKED_AGAIN: Final = 600.0  # seconds until it is seen again whether it is time
_BETWEEN_LOOKS: Final = 0.2  # seconds; runs that end together are looked at together


class Scheduler:
    """Makes passes in this process, one after another.

    Args:
        every: seconds between two passes; 0 turns off all but those that somebody asks for.
    """

    def __init__(self, doctor: OptimizerContext, every: float) -> None:
        self._doctor = doctor
        self._every = every
        self._failed = asyncio.Event()
        self._recorded = asyncio.Event()
        self._turn = asyncio.Lock()
        self._asked: set[asyncio.Task[Result]] = set()
        self._idle = ""  # the outcome of the last passes, if they opened no healing

    def observe(self, outcome: Outcome) -> None:
        """Take notice of a recorded run: a release may be due, a failure the one too many."""
        self._recorded.set()
        if outcome in ("failed", "output"):
            self._failed.set()

    async def advance(self) -> None:
        """Look after what is released whenever runs were recorded, until cancelled."""
        while True:
            await self._recorded.wait()
            self._recorded.clear()
            try:
                await monitor_releases(self._doctor.database)
            except DatabaseError as error:
                logger.warning("releases could not be looked after: %s", error)
            except Exception:
                logger.exception("looking after releases broke")
            await asyncio.sleep(_BETWEEN_LOOKS)

    async def ask_judge(self) -> None:
        """Ask the judge once a day, by one process of all, until cancelled."""
        if not self._every:
            return
        await asyncio.sleep(_FIRST_ASKED)
        while True:
            try:
                await check_daily(self._doctor)
            except (DatabaseError, RunError) as error:
                logger.warning("the judge could not be asked about golden verdicts: %s", error)
            except Exception:
                logger.exception("asking the judge broke")
            await asyncio.sleep(_ASKED_AGAIN)

    async def run(self) -> None:
        """Make passes until cancelled."""
        if not self._every:
            return
        while True:
            trigger = await self._next()
            try:
                async with self._turn:
                    result = await Optimizer(self._doctor).run(Trigger(trigger=trigger))
                self._report(result)
            except DatabaseError as error:
                logger.warning("the optimizer could not look: %s", error)
            except Exception:
                logger.exception("a pass of the optimizer broke")
            await asyncio.sleep(_CALM)

    async def _next(self) -> str:
        """Wait for a failure or for the clock, and say which it was."""
        try:
            async with asyncio.timeout(self._every):
                await self._failed.wait()
        except TimeoutError:
            return "schedule"
        self._failed.clear()
        return "failure"

    async def ask(self, trigger: Trigger) -> dict[str, Any]:
        """Start a pass; return as soon as its healing is open, or it ended without one.

        Raises:
            DatabaseError: Postgres cannot be reached or refused.
        """
        opened: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def watch(_: str, found: State) -> None:
            if "healing_id" in found and not opened.done():
                opened.set_result(found["healing_id"])

        task = asyncio.create_task(self._on_request(trigger, watch))
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)
        awaited: set[asyncio.Future[Any]] = {task, opened}
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return dict(task.result())
        return {"agent": trigger.get("agent"), "outcome": None, "healing_id": opened.result()}

    def _report(self, result: Result) -> None:
        """Log a healing's outcome; and once, not at each pass, why there is none."""
        reason = sentence(result.get("reason"))
        if "healing_id" in result:
            logger.warning("healing %s: %s, %s", result["healing_id"], result["outcome"], reason)
        elif result["outcome"] != (self._idle or "healthy"):
            logger.info("no healing: %s, %s", result["outcome"], reason)
        self._idle = "" if "healing_id" in result else result["outcome"]

    async def _on_request(self, trigger: Trigger, watch: Any) -> Result:
        async with self._turn:
            return await Optimizer(self._doctor, watch).run(trigger)

    async def close(self) -> None:
        """Cancel what is under way: whoever comes next goes on from its last state."""
        await stop(*self._asked)


@asynccontextmanager
async def scheduling(doctor: OptimizerContext, every: float) -> AsyncIterator[Scheduler]:
    """Run a scheduler beside the body."""
    scheduler = Scheduler(doctor, every)
    work = (scheduler.run(), scheduler.advance(), scheduler.ask_judge())
    running = [asyncio.create_task(each) for each in work]
    try:
        yield scheduler
    finally:
        await stop(*running)
        await scheduler.close()
