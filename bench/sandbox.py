"""How fast the sandboxes are: `python -m bench.sandbox`.

Latency: programs with five examples, one after another. Throughput: the same, four at once, the
process and its children held to one core.
"""

import asyncio
import os
import statistics
import time
from collections.abc import Callable, Coroutine
from typing import Any

from selfheal.app.aio import gather_bounded
from selfheal.graph.rules.checks import run_checks
from selfheal.graph.sandbox.protocol import Program, Sandbox
from selfheal.graph.sandbox.selection import open_sandbox, survey
from selfheal.graph.state import Plan, PlannedExample

CODE = '''
def primes(limit: int) -> list[int]:
    """Return the primes below a limit."""
    found: list[int] = []
    for number in range(2, limit):
        if all(number % prime for prime in found):
            found.append(number)
    return found
'''
CALLS = tuple(f"primes({limit})" for limit in (2, 10, 20, 30, 100))
PLAN = Plan(
    title="primes",
    requirements=[],
    signature="def primes(limit: int) -> list[int]",
    examples=[PlannedExample(call=call, returns="[]", origin="inferred") for call in CALLS],
)
ROUNDS = 200
AT_ONCE = 4
TABLE = "{:10} {:32} {:>10} {:>10} {:>14}"

Work = Callable[[Sandbox], Coroutine[Any, Any, object]]


async def main() -> None:
    """Print the table."""
    print(TABLE.format("backend", "what", "median ms", "p95 ms", "per s and core"))
    for report in await survey():
        if not report.ok:
            print(f"{report.name:10} does not work here: {report.reason}")
            continue
        async with open_sandbox(report.name) as box:
            await _row(box, "5 examples in the sandbox", lambda s: s.run(Program(CODE, CALLS)))
            await _row(box, "all rules, the linter included", lambda s: run_checks(CODE, PLAN, s))


async def _row(sandbox: Sandbox, what: str, work: Work) -> None:
    for _ in range(10):
        await work(sandbox)
    taken = [await _timed(sandbox, work) for _ in range(ROUNDS)]
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    began = time.perf_counter()
    await gather_bounded(AT_ONCE, lambda _: work(sandbox), range(ROUNDS))
    rate = ROUNDS / (time.perf_counter() - began)
    os.sched_setaffinity(0, cores)
    p95 = statistics.quantiles(taken, n=20)[-1]
    print(
        TABLE.format(
            sandbox.name, what, f"{statistics.median(taken):.1f}", f"{p95:.1f}", f"{rate:.0f}"
        )
    )


async def _timed(sandbox: Sandbox, work: Work) -> float:
    began = time.perf_counter()
    await work(sandbox)
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    asyncio.run(main())
