"""A thousand hostile programs in a row, and what they leave behind: `python -m bench.hostile`."""

import argparse
import asyncio
import contextlib
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.attacks import BACKENDS, CATALOGUE
from bench.attacks.runner import IN_MEMORY, resident
from bench.attacks.targets import Targets, targets
from bench.harness.leftovers import left, traces
from selfheal.graph.sandbox.protocol import Limits, Program, Sandbox, SandboxUnavailable
from selfheal.graph.sandbox.selection import open_sandbox

MOST_GROWTH_BYTES = 16 * 2**20
BRIEF = Limits(wall_seconds=0.2, cpu_seconds=1, memory_bytes=192 * 2**20)
LONGEST_SOURCE = 2**20  # larger ones would measure how this process makes them


@dataclass(frozen=True, slots=True)
class HostileReport:
    """What was seen of the programs, and after them."""

    programs: int
    seconds: float
    statuses: dict[str, int]
    succeeded: list[str]
    left: list[str]
    growth_bytes: int

    @property
    def harmless(self) -> bool:
        """Whether nothing got through and nothing was left."""
        return not self.succeeded and not self.left


class HostileRun:
    """Programs drawn by chance, one after the other, each cut short."""

    def __init__(self, aims: Targets, seed: int) -> None:
        self.statuses: Counter[str] = Counter()
        self.succeeded: list[str] = []
        self.sizes: list[int] = []
        self._aims = aims
        self._chance = random.Random(seed)
        self._attacks = [each for each in CATALOGUE if len(each.text) < LONGEST_SOURCE]

    async def strike(self, sandbox: Sandbox) -> None:
        """Run one program."""
        attack = self._chance.choice(self._attacks)
        calls = attack.calls or tuple(each["call"] for each in attack.examples)
        names = self._aims.names()
        program = Program(attack.text, tuple(call.format(**names) for call in calls))
        execution = await sandbox.run(program, BRIEF)
        self.statuses[execution.status] += 1
        self.sizes.append(resident())
        reached = [each.call for each in execution.results if each.value is True]
        in_memory = attack.family == "filling" and sandbox.name in IN_MEMORY
        if not attack.examples and not in_memory:  # what those return is for the rules to judge
            self.succeeded += [f"{attack.family}/{attack.name}: {call}" for call in reached]

    def growth(self) -> int:
        """Return by how much this process grew from the first tenth to the last."""
        share = max(1, len(self.sizes) // 10)
        first, last = self.sizes[:share], self.sizes[-share:]
        return int(statistics.median(last) - statistics.median(first))


async def run_hostile_programs(backend: str, programs: int, seed: int = 0) -> HostileReport:
    """Run hostile programs on a backend.

    Raises:
        SandboxUnavailable: the backend does not work here, or was broken by a program.
    """
    with _own_temporary_folder() as folder:
        async with open_sandbox(backend):
            pass  # what the process makes once and keeps, such as compiled scripts, is there now
        async with targets() as aims:
            assault, before, began = HostileRun(aims, seed), traces(folder), time.monotonic()
            async with open_sandbox(backend) as sandbox:
                for _ in range(programs):
                    await assault.strike(sandbox)
            seconds = time.monotonic() - began
            succeeded = assault.succeeded + aims.damage()
            remains = await left(folder, before)
    statuses = dict(assault.statuses)
    return HostileReport(programs, seconds, statuses, succeeded, remains, assault.growth())


@contextlib.contextmanager
def _own_temporary_folder() -> Iterator[Path]:
    usual = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="selfheal-hostile-") as name:
        Path(name).chmod(0o755)  # the sandbox's own user must get in
        tempfile.tempdir = name
        try:
            yield Path(name)
        finally:
            tempfile.tempdir = usual


def show(backend: str, seen: HostileReport) -> bool:
    """Print what was seen of a backend; tell whether all is well."""
    small = seen.growth_bytes < MOST_GROWTH_BYTES
    print(
        f"{backend}: {seen.programs} programs in {seen.seconds:.1f} s, "
        f"{seen.programs / seen.seconds:.1f} per second"
    )
    print("  " + ", ".join(f"{number} {status}" for status, number in seen.statuses.items()))
    print(f"  got through: {', '.join(seen.succeeded) or 'nothing'}")
    print(f"  left behind: {', '.join(seen.left) or 'nothing'}")
    grown = f"{seen.growth_bytes / 2**20:.1f} MB"
    print(f"  this process grew by {grown}{'' if small else ': TOO MUCH'}")
    return seen.harmless and small


def main() -> int:
    """Read the command line, run, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.hostile", description=__doc__)
    parser.add_argument("--backend", help="only this one, as in SELFHEAL_SANDBOX")
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    well = []
    for backend in (options.backend,) if options.backend else BACKENDS:
        try:
            seen = asyncio.run(run_hostile_programs(backend, options.programs, options.seed))
        except SandboxUnavailable as problem:
            print(f"LEFT OUT: {backend} does not work here: {problem.reason}")
        else:
            well.append(show(backend, seen))
    return 0 if well and all(well) else 1


if __name__ == "__main__":
    sys.exit(main())
