"""Every attack on every sandbox that works here, as a table: `python -m bench.attacks`."""

import argparse
import asyncio
import contextlib
import json
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from bench.attacks import BACKENDS, CATALOGUE
from bench.attacks.attack import Attack, Outcome
from bench.attacks.runner import attempt, control
from bench.attacks.targets import targets
from selfheal.graph.sandbox.protocol import Sandbox, SandboxUnavailable
from selfheal.graph.sandbox.selection import open_sandbox

Row = dict[str, Outcome]
CONTROL = "control"
LONGEST_WORDS = 400


async def run(backend: str | None, name: str) -> tuple[dict[str, Row], list[str]]:
    """Run all, and print each row as soon as it is known; return the rows and what was left out."""
    rows: dict[str, Row] = {}
    async with contextlib.AsyncExitStack() as stack:
        sandboxes, left_out = await _opened(stack, (backend,) if backend else BACKENDS)
        columns = (CONTROL, *(sandbox.name for sandbox in sandboxes))
        print(f"{'attack':34}" + "".join(f"{each:>25}" for each in columns))
        for attack in CATALOGUE:
            if name in (full := f"{attack.family}/{attack.name}"):
                rows[full] = await _row(attack, sandboxes)
                _show(full, rows[full])
    return rows, left_out


async def _opened(
    stack: contextlib.AsyncExitStack, names: Iterable[str]
) -> tuple[list[Sandbox], list[str]]:
    """Open the backends that work here, and say why others do not."""
    sandboxes, left_out = [], []
    for name in names:
        try:
            sandboxes.append(await stack.enter_async_context(open_sandbox(name)))
        except SandboxUnavailable as problem:
            left_out.append(f"{name} does not work here: {problem.reason}")
            print(f"LEFT OUT: {left_out[-1]}")
    return sandboxes, left_out


async def _row(attack: Attack, sandboxes: list[Sandbox]) -> Row:
    row = {CONTROL: await control(attack)}
    for sandbox in sandboxes:
        async with targets() as aims:
            row[sandbox.name] = await attempt(attack, sandbox, aims)
    return row


def _show(name: str, row: Row) -> None:
    cells = (f"{each.state} {each.milliseconds:4}" for each in row.values())
    print(f"{name:34}" + "".join(f"{cell:>25}" for cell in cells), flush=True)
    for column, outcome in row.items():
        if outcome.state not in {"stopped", "works"}:
            words = " ".join(outcome.how.split())
            print(f"    {column}: {words[-LONGEST_WORDS:]}")


def _summary(rows: dict[str, Row]) -> bool:
    """Print how many there were of each outcome; tell whether all is well."""
    columns = dict.fromkeys(name for row in rows.values() for name in row)
    for name in columns:
        counts = Counter(row[name].state for row in rows.values())
        print(f"{name}: " + ", ".join(f"{number} {state}" for state, number in counts.items()))
    bad = {"NOT STOPPED", "control failed"}
    return not any(each.state in bad for row in rows.values() for each in row.values())


def main() -> int:
    """Read the command line, run, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.attacks", description=__doc__)
    parser.add_argument("--backend", help="only this one, as in SELFHEAL_SANDBOX")
    parser.add_argument("--attack", default="", help="only those with this in their name")
    parser.add_argument("--json", type=Path, help="write every outcome to this file")
    options = parser.parse_args()
    rows, left_out = asyncio.run(run(options.backend, options.attack))
    if options.json:
        results = {
            name: {column: asdict(outcome) for column, outcome in row.items()}
            for name, row in rows.items()
        }
        report = {"left_out": left_out, "attacks": results}
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0 if _summary(rows) and rows else 1


if __name__ == "__main__":
    sys.exit(main())
