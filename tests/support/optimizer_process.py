"""One pass of the optimizer in a process of its own, from the environment: to be killed.

With DIE_IN set to a state, the process kills itself when that state has done its work, and before
its checkpoint is written: the moment at which work is done twice, if it can be. With FREEZE_AFTER
it stops when that state has ended, so that whoever kills it is not too late.
"""

import asyncio
import functools
import json
import os
import signal
from typing import Any

from selfheal.db.bootstrap import open_migrated
from selfheal.graph.context import open_parts
from selfheal.graph.prompts import first_prompts
from selfheal.optimizer import build
from selfheal.optimizer.context import open_optimizer_context
from selfheal.optimizer.runner import Optimizer
from selfheal.optimizer.state import State, Trigger
from selfheal.server.observability.langsmith import tracing
from selfheal.server.settings import read_settings


def watch(state: str, _: State) -> None:
    """Say which state has ended."""
    print(f"ended {state}", flush=True)
    if state == os.environ.get("FREEZE_AFTER"):
        os.kill(os.getpid(), signal.SIGSTOP)


def die_in(state: str) -> None:
    """Have the process killed at the end of a state."""
    node = getattr(build, state)

    @functools.wraps(node)
    async def fatal(*given: Any, **more: Any) -> None:
        await node(*given, **more)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(build, state, fatal)


async def main() -> None:
    settings = read_settings()
    async with (
        tracing(),
        open_migrated(settings, first_prompts()) as database,
        open_parts(settings, database) as agent_context,
        open_optimizer_context(settings, database, agent_context) as context,
    ):
        print("begun", flush=True)
        result = await Optimizer(context, watch).run(Trigger(trigger="test"))
    print(f"result {json.dumps(result)}", flush=True)


if __name__ == "__main__":
    if state := os.environ.get("DIE_IN"):
        die_in(state)
    asyncio.run(main())
