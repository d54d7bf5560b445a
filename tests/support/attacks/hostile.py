"""Many hostile programs in a row, and what they leave behind."""

import contextlib
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from selfheal.graph.sandbox.protocol import Limits, Program, Sandbox
from selfheal.graph.sandbox.selection import open_sandbox
from tests.support.attacks import CATALOGUE
from tests.support.attacks.running import IN_MEMORY, resident
from tests.support.attacks.targets import Targets, targets
from tests.support.leftovers import left, traces

BRIEF = Limits(wall_seconds=0.2, cpu_seconds=1, memory_bytes=192 * 2**20)
LONGEST_SOURCE = 2**20  # larger ones would measure how this process makes them


@dataclass(frozen=True, slots=True)
class Aftermath:
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


class Assault:
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


async def assail(backend: str, programs: int, seed: int = 0) -> Aftermath:
    """Run hostile programs on a backend.

    Raises:
        SandboxUnavailable: the backend does not work here, or was broken by a program.
    """
    with _own_temporary_folder() as folder:
        async with open_sandbox(backend):
            pass  # what the process makes once and keeps, such as compiled scripts, is there now
        async with targets() as aims:
            assault, before, began = Assault(aims, seed), traces(folder), time.monotonic()
            async with open_sandbox(backend) as sandbox:
                for _ in range(programs):
                    await assault.strike(sandbox)
            seconds = time.monotonic() - began
            succeeded = assault.succeeded + aims.damage()
            remains = await left(folder, before)
    statuses = dict(assault.statuses)
    return Aftermath(programs, seconds, statuses, succeeded, remains, assault.growth())


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
