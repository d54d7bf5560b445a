"""Running one attack in a sandbox, and its control without one."""

import asyncio
import contextlib
import json
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from bench.attacks.attack import Attack, Outcome, State
from bench.attacks.targets import SECRET, Targets, targets
from selfheal.graph.rules.checks import CheckResults, run_checks
from selfheal.graph.sandbox.interpreter import ENVIRONMENT, FLAGS, executable
from selfheal.graph.sandbox.protocol import (
    DEFAULT_LIMITS,
    Execution,
    Limits,
    Program,
    Sandbox,
    SandboxUnavailable,
)
from selfheal.graph.state import Plan, PlannedExample

UNSAFE_JUDGE = Path(__file__).with_name("unsafe_judge.py")
CONTROL_SECONDS = 20.0
SLACK_SECONDS = 4.0
LONGEST_PAUSE = 3.0
LARGEST_GROWTH = 96 * 2**20
# Whose files are on no disk and gone with the program: filling them is filling its memory, which
# the attacks on memory are about.
IN_MEMORY = {"wasm"}
PAGE = os.sysconf("SC_PAGE_SIZE")


class Limited:
    """A sandbox with limits of the attack's own, for rules that would take the usual ones."""

    def __init__(self, sandbox: Sandbox, limits: Limits) -> None:
        self.name = sandbox.name
        self.runs = 0
        self._sandbox = sandbox
        self._limits = limits

    async def run(self, program: Program, _: Limits = DEFAULT_LIMITS) -> Execution:
        """Run the program within the attack's limits."""
        self.runs += 1
        return await self._sandbox.run(program, self._limits)

    async def aclose(self) -> None:
        """Do nothing: the opener of the sandbox closes it."""


@dataclass(slots=True)
class Gauge:
    """What a run did to this very process."""

    pause: float = 0.0
    growth: int = 0


async def attempt(attack: Attack, sandbox: Sandbox, aims: Targets) -> Outcome:
    """Run the attack in the sandbox; it is stopped if nothing of what it tried came about."""
    limited, names = Limited(sandbox, attack.limits), aims.names()
    calls = tuple(call.format(**names) for call in attack.calls)
    began = time.monotonic()
    try:
        async with _gauged() as gauge:
            if attack.examples:
                facts = await run_checks(attack.text, _plan(attack, names), limited)
                how, problems = _judged(facts)
            else:
                execution = await limited.run(Program(attack.text, calls))
                how, problems = _ended(execution, attack.limits)
                if attack.family == "filling" and sandbox.name in IN_MEMORY:
                    how, problems = "its files are in the guest's limited memory", []
    except SandboxUnavailable as problem:
        how, problems = "", [f"it broke the sandbox: {problem}"]
    seconds = time.monotonic() - began
    problems += _strained(gauge, seconds, attack.limits.wall_seconds * limited.runs)
    problems += [f"from outside: {each}" for each in aims.damage()]
    state: State = "NOT STOPPED" if problems else "stopped"
    return Outcome(state, "; ".join(problems) or how, round(seconds * 1000))


def _plan(attack: Attack, names: dict[str, object]) -> Plan:
    filled = [{key: text.format(**names) for key, text in each.items()} for each in attack.examples]
    return {
        "title": attack.name,
        "requirements": ["Solve it."],
        "signature": "def solve(n)",
        "examples": [cast("PlannedExample", {**each, "origin": "stated"}) for each in filled],
    }


def _judged(facts: CheckResults) -> tuple[str, list[str]]:
    if facts.vetoes:
        return facts.vetoes[0], []
    return "", [f"the rules passed it: {facts.execution.results}"]


def _ended(execution: Execution, limits: Limits) -> tuple[str, list[str]]:
    problems = [f"{each.call} succeeded" for each in execution.results if each.value is True]
    if execution.status == "not_run":
        problems.append("it was not run at all")
    if len(execution.stdout) > limits.output_bytes:
        problems.append(f"{len(execution.stdout)} characters of output came out")
    answers = [each.raised or (each.value,) for each in execution.results]
    seen = [f"{answer[0]!s:.60}" for answer in answers]
    if execution.status != "ok":
        seen.append(f"{execution.status}: {execution.detail}")
    return "; ".join(seen), problems


def _strained(gauge: Gauge, seconds: float, allowed: float) -> Iterator[str]:
    """Yield what an attack did to the process that started it."""
    if seconds > allowed + SLACK_SECONDS:
        yield f"it took {seconds:.1f} s"
    if gauge.pause > LONGEST_PAUSE:
        yield f"the event loop stood still for {gauge.pause:.1f} s"
    if gauge.growth > LARGEST_GROWTH:
        yield f"the parent grew by {gauge.growth >> 20} MB"


@contextlib.asynccontextmanager
async def _gauged() -> AsyncIterator[Gauge]:
    gauge, before = Gauge(), resident()

    async def beat() -> None:
        while True:
            asleep = time.monotonic()
            await asyncio.sleep(0.02)
            gauge.pause = max(gauge.pause, time.monotonic() - asleep)
            gauge.growth = max(gauge.growth, resident() - before)

    heart = asyncio.create_task(beat())
    try:
        yield gauge
    finally:
        await asyncio.sleep(0)  # a last beat, if a standstill has kept one waiting
        heart.cancel()


def resident() -> int:
    """Return how much memory this process takes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


async def control(attack: Attack) -> Outcome:
    """Run the attack without a sandbox: unless it works there, its failure proves nothing."""
    async with targets() as aims:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="selfheal-control-") as scratch:
            job, seconds = _job(attack, aims.names()), CONTROL_SECONDS
            if attack.control == "outlasts":
                seconds = attack.limits.wall_seconds + 0.3
            code, output = await _naive(job, Path(scratch), aims.inheritable, seconds)
        milliseconds = round((time.monotonic() - began) * 1000)
        said = output[-400:].decode("utf-8", "replace").strip()
        how = ", ".join(aims.damage()) or said[-80:]
    if _worked(attack, code, output):
        return Outcome("works", how, milliseconds)
    if attack.needs:
        return Outcome("control unavailable", f"needs {attack.needs}: {said}", milliseconds)
    return Outcome("control failed", f"exit {code}: {said}", milliseconds)


def _worked(attack: Attack, code: int | None, output: bytes) -> bool:
    if attack.control == "outlasts":
        return code is None
    if attack.control == "crashes":
        return code not in {0, None}
    if attack.control == "works":
        return b'{"passed": true}' in output
    return code == 0 and not output.rstrip().endswith(b'{"passed": false}')


def _job(attack: Attack, names: dict[str, object]) -> dict[str, object]:
    calls = attack.control_calls or attack.calls
    expected = ["True"] * len(calls)
    if attack.examples and not attack.control_calls:
        calls = tuple(each["call"] for each in attack.examples)
        expected = [each.get("returns") or each["raises"] for each in attack.examples]
    return {
        "code": attack.text,
        "calls": [call.format(**names) for call in calls],
        "expected": [each.format(**names) for each in expected],
    }


async def _naive(
    job: dict[str, object], scratch: Path, inherited: int, seconds: float
) -> tuple[int | None, bytes]:
    """Return the exit code, None if it had to be ended, and the output."""
    secret = {SECRET: os.environ[SECRET]}
    process = await asyncio.create_subprocess_exec(
        *(str(executable()), *FLAGS, str(UNSAFE_JUDGE)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=scratch,
        env={**ENVIRONMENT, **dict.fromkeys(("HOME", "TMPDIR"), str(scratch)), **secret},
        pass_fds=(inherited,),
        start_new_session=True,
    )
    talking = asyncio.ensure_future(process.communicate(json.dumps(job).encode() + b"\n"))
    done, _ = await asyncio.wait({talking}, timeout=seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    output, _ = await talking
    return process.returncode if done else None, output
