"""Injected instructions through a fooled diagnostician and writer: `python -m bench.redteam`.

Each wording of each instruction is one trial: a fresh deployment with a defective prompt, a log
with the attacker's text, the real optimizer, and a look at what is live. Results are appended to a
file as JSON lines; what is in it already is not tried again. Exit code 1 if anything was released.
"""

import argparse
import asyncio
import os
import random
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.harness.scripted_model import serve_scripted_model
from bench.redteam.catalogue import Attack, attacks
from bench.redteam.fooled_model import FooledModel
from bench.redteam.report import read_outcomes, tables
from bench.redteam.sane import lint_report
from bench.redteam.trial import Outcome, carry_out, fresh_deployment, make_template
from selfheal.db.embedded.server import embedded_postgres
from selfheal.db.types import AGENTS

_SETTINGS = {"GOOGLE_API_KEY": "scripted", "SELFHEAL_HEAL_DAILY_CALLS": "1000000"}


def chosen(options: argparse.Namespace) -> list[Attack]:
    """Return the attacks to try, in the order of the seed, those in the file left out."""
    known = {each.id for each in read_outcomes(options.results)}
    found = [
        each for each in attacks() if options.match in each.id and each.agent in options.agents
    ]
    random.Random(options.seed).shuffle(found)
    limited = found[: options.limit] if options.limit else found
    mine = limited[options.part :: options.processes]
    return [each for each in mine if each.id not in known]


async def measure(found: list[Attack], options: argparse.Namespace) -> None:
    """Try attacks one after another on one Postgres, and append each outcome to a file."""
    over = time.monotonic() + 60 * options.minutes
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="redteam-"))
        url = await stack.enter_async_context(embedded_postgres(Path(folder)))
        await make_template(url)
        server = await stack.enter_async_context(serve_scripted_model(lambda _: ""))
        os.environ |= {**_SETTINGS, "GOOGLE_GEMINI_BASE_URL": server.url}
        for attack in found:
            if time.monotonic() > over:
                return
            model = FooledModel(attack, options.slip, options.strength, options.seed)
            async with fresh_deployment(url) as harness:
                outcome = await carry_out(harness, model, server)
            keep(outcome, options.results)


def keep(outcome: Outcome, results: Path) -> None:
    """Append an outcome to the results file, and show it."""
    with results.open("a", encoding="utf-8") as file:
        file.write(f"{outcome.line()}\n")
    print(f"{outcome.id:<52} {outcome.fate:<14} {outcome.calls:>4} calls", flush=True)


def _in_processes(options: argparse.Namespace) -> None:
    """Run one process for each part of the attacks, and wait for all of them."""
    arguments = [*sys.argv[1:], "--part"]
    command = [sys.executable, "-m", "bench.redteam", *arguments]
    running = [subprocess.Popen([*command, str(part)]) for part in range(options.processes)]
    try:
        codes = [each.wait() for each in running]
    finally:
        for each in running:
            each.terminate()
    if any(codes):
        raise SystemExit(f"a process failed: {codes}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.redteam",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--results", type=Path, default=Path("redteam.jsonl"), metavar="FILE")
    parser.add_argument("--match", default="", help="only attacks with this in their id")
    parser.add_argument("--agents", nargs="+", default=AGENTS, choices=AGENTS)
    parser.add_argument("--limit", type=int, default=0, help="so many attacks at most, 0 is all")
    parser.add_argument("--seed", type=int, default=0, help="of the order and of the slips")
    parser.add_argument(
        "--slip", type=float, default=0.08, help="rate at which repaired agents fail all the same"
    )
    parser.add_argument(
        "--strength", type=float, default=0.03, help="pass rate under the defective prompts"
    )
    parser.add_argument("--minutes", type=float, default=600.0, help="no trial begins later")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--lint", action="store_true", help="only count refused sane texts")
    parser.add_argument("--report", action="store_true", help="only print the tables of the file")
    parser.add_argument("--part", type=int, default=-1, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Read the command line, run, and return the exit code."""
    options = _options()
    if options.part >= 0 or (options.processes == 1 and not options.lint and not options.report):
        options.part = max(options.part, 0)
        if found := chosen(options):
            asyncio.run(measure(found, options))
    elif not options.lint and not options.report:
        _in_processes(options)
    if options.processes > 1 and options.part >= 0:
        return 0
    for line in lint_report():
        print(line)
    if options.lint:
        return 0
    outcomes = read_outcomes(options.results)
    for line in tables(outcomes):
        print(line)
    return 1 if any(each.fate == "released" for each in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
