"""What serving adds to the graph: `python -m bench.serving [overhead|throughput|memory]`.

The service is a real process on a Postgres of its own; the graph in process uses the same Postgres,
a saver on a pool, the same durability. The model is SIMULATED: without latency for the overhead,
with 200 ms a call for the throughput. Rounds alternate, so that both sides meet the same machine.
"""

import argparse
import asyncio
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import httpx

from bench.experiment.world import control, simulated_gemini
from bench.harness.processes import clean_environment, selfheal, started
from selfheal.app.aio import gather_bounded
from selfheal.db.bootstrap import open_migrated
from selfheal.db.checkpoints import PoolSaver
from selfheal.db.embedded.server import embedded_postgres
from selfheal.graph.build import build_graph
from selfheal.graph.context import ReleasedPrompts, open_parts
from selfheal.graph.prompts import first_prompts
from selfheal.server.settings import read_settings

REQUEST = {"request": "Write is_leap_year(year): is a year a leap year?"}
SAYS = r"serving on (http://\S+)"
CONCURRENCY = 100
LATENCY = 0.2
_WARM = 5

Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Sides:
    """The two ways to a run, the simulated Gemini's address, and the service's process."""

    served: Call
    in_process: Call
    gemini: str
    pid: int


@asynccontextmanager
async def sides(**settings: str) -> AsyncIterator[Sides]:
    """Start all that is compared."""
    with simulated_gemini() as gemini, TemporaryDirectory(prefix="serving-") as folder:
        async with embedded_postgres(Path(folder)) as url:
            env = {
                "DATABASE_URL": url,
                "GOOGLE_API_KEY": "simulated",
                "GOOGLE_GEMINI_BASE_URL": gemini,
                "SELFHEAL_OPTIMIZE_EVERY_SECONDS": "0",
                **settings,
            }
            command = selfheal("serve", "--port", "0")
            limits = httpx.Limits(max_connections=None)
            os.environ |= env
            async with (
                started(*command, env=clean_environment(**env), says=SAYS) as (process, base),
                httpx.AsyncClient(base_url=base, timeout=300, limits=limits) as client,
                graph_in_process() as in_process,
            ):
                yield Sides(lambda: _served(client), in_process, gemini, process.pid)


@asynccontextmanager
async def graph_in_process() -> AsyncIterator[Call]:
    """Yield what runs the graph in this very process."""
    settings = read_settings()
    async with (
        open_migrated(settings, first_prompts()) as database,
        open_parts(settings, database) as context,
    ):
        graph = build_graph(PoolSaver(database.pool))

        async def call() -> object:
            thread = uuid4()
            own = replace(context, prompts=ReleasedPrompts(database, thread))
            config: Any = {"configurable": {"thread_id": str(thread)}}
            given: Any = dict(REQUEST)
            return await graph.ainvoke(given, config, context={"context": own}, durability="async")

        yield call


async def _served(client: httpx.AsyncClient) -> object:
    answer = await client.post("/runs/wait", json={"assistant_id": "agent", "input": REQUEST})
    result = answer.json()
    if "evaluation" not in result:
        raise RuntimeError(f"a run gave no verdict: {result.get('__error__', result)}")
    return result["evaluation"]


async def overhead(rounds: int) -> None:
    """Time runs one after another on both sides."""
    async with sides() as both:
        taken: dict[str, list[float]] = {"served": [], "in process": []}
        for at in range(-_WARM, rounds):
            for name, call in (("served", both.served), ("in process", both.in_process)):
                began = time.perf_counter()
                await call()
                if at >= 0:
                    taken[name].append((time.perf_counter() - began) * 1000)
    for name, times in taken.items():
        print(f"{name:12} median {statistics.median(times):6.1f} ms, of {rounds}")
    added = [served - alone for served, alone in zip(*taken.values(), strict=True)]
    print(f"{'added':12} median {statistics.median(added):6.1f} ms")


async def throughput(rounds: int) -> None:
    """Time 100 at once on both sides, each for so many rounds of 100."""
    async with sides(SELFHEAL_MAX_CONCURRENCY=str(CONCURRENCY)) as both:
        await asyncio.gather(both.served(), both.in_process())
        await control(both.gemini, latency_seconds=LATENCY)
        rates: dict[str, list[float]] = {"served": [], "in process": []}
        for _ in range(rounds):
            for name, call in (("in process", both.in_process), ("served", both.served)):
                rates[name].append(await _rate(call, 3 * CONCURRENCY))
    for name, found in rates.items():
        shown = ", ".join(f"{each:.1f}" for each in found)
        print(f"{name:12} median {statistics.median(found):5.1f} runs a second ({shown})")
    share = statistics.median(rates["served"]) / statistics.median(rates["in process"])
    print(f"{'share':12} {share:.0%}")


async def _rate(call: Call, runs: int) -> float:
    began = time.perf_counter()
    await gather_bounded(CONCURRENCY, lambda _: call(), range(runs))
    return runs / (time.perf_counter() - began)


async def memory(runs: int) -> None:
    """Watch the service's memory over so many runs."""
    async with sides() as both:
        step = max(1, runs // 10)
        for done in range(step, runs + 1, step):
            await gather_bounded(16, lambda _: both.served(), range(step))
            print(f"after {done:6} runs: {_resident(both.pid):6.1f} MB", flush=True)


def _resident(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    line = next(each for each in lines if each.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def main() -> int:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.serving", description=__doc__)
    parser.add_argument("what", nargs="*", default=["overhead", "throughput", "memory"])
    parser.add_argument("--rounds", type=int, default=60, help="of overhead; of throughput a tenth")
    parser.add_argument("--runs", type=int, default=10_000, help="of memory")
    options = parser.parse_args()
    known = {
        "overhead": lambda: overhead(options.rounds),
        "throughput": lambda: throughput(max(1, options.rounds // 10)),
        "memory": lambda: memory(options.runs),
    }
    if unknown := set(options.what) - set(known):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    print("SIMULATED: the model is the project's stand-in.")
    for each in options.what:
        asyncio.run(known[each]())
    return 0


if __name__ == "__main__":
    sys.exit(main())
