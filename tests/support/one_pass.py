"""One pass of the optimizer in a process of its own, from the environment: to be killed."""

import asyncio
import json
from typing import Any

from graph.context import open_data, open_parts
from graph.settings import read_settings
from optimizer.context import open_doctor
from optimizer.passes import Optimizer
from optimizer.state import Trigger


def watch(state: str, _: dict[str, Any]) -> None:
    """Say which state has ended."""
    print(f"ended {state}", flush=True)


async def main() -> None:
    settings = read_settings()
    async with (
        open_data(settings) as database,
        open_parts(settings, database) as context,
        open_doctor(settings, database, context) as doctor,
    ):
        print("begun", flush=True)
        result = await Optimizer(doctor, watch).run(Trigger(agent="worker", trigger="test"))
    print(f"result {json.dumps(result)}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
