"""Healing, measured over scenarios and seeds, beside its rivals. `python -m bench.healing`.

All of it is SIMULATED: the model is the project's stand-in, so the figures show that the loop
works, and are no claim about Gemini. Results are kept as they come, and a run resumes where the
one before it stopped.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.progress import Progress

from bench.experiment import trials
from bench.experiment.jobs import EXPERIMENTS, Job, jobs
from bench.experiment.records import Record, Records
from bench.experiment.report import report
from bench.experiment.world import make_template, simulated_gemini
from selfheal.db.embedded.server import embedded_postgres

RESULTS = Path("bench/results/healing.jsonl")

_here = ExitStack()
_gemini = ""


def _begin() -> None:
    """Give this process a simulated Gemini of its own."""
    global _gemini  # noqa: PLW0603 - a process of a pool has no other place to keep it
    _gemini = _here.enter_context(simulated_gemini())
    multiprocessing.util.Finalize(None, _here.close, exitpriority=10)


def _one(job: Job, url: str) -> Record:
    return asyncio.run(trials.run(job, url, _gemini))


@contextlib.contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, spawning, _begin) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)


def run(wanted: list[Job], url: str, processes: int, keep: Callable[[Record], None]) -> list[str]:
    """Run jobs, a few at once; hand each record over as it comes. Return what broke, in words."""
    broken: list[str] = []
    with _pool(processes) as pool, Progress(disable=not sys.stdout.isatty()) as progress:
        bar = progress.add_task("trials", total=len(wanted))
        asked = {pool.submit(_one, job, url): job for job in wanted}
        for done, future in enumerate(as_completed(asked), 1):
            try:
                keep(future.result())
            except Exception as error:
                broken.append(f"{asked[future].key}: {type(error).__name__}: {error}")
            progress.update(bar, completed=done)
            if not sys.stdout.isatty() and done % 20 == 0:
                print(f"{done} of {len(wanted)} trials", flush=True)
    return broken


async def _serve(options: argparse.Namespace, records: Records) -> list[str]:
    wanted = [
        job
        for experiment in options.experiments
        for job in jobs(experiment, options.seeds)
        if job.key not in records and options.match in job.key
    ]
    if not wanted:
        return []
    with TemporaryDirectory(prefix="healing-") as folder:
        async with embedded_postgres(Path(folder)) as url:
            await make_template(url)
            return await asyncio.to_thread(run, wanted, url, options.processes, records.add)


def main() -> int:
    """Read the command line, run, report, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.healing", description=__doc__)
    parser.add_argument("experiments", nargs="*", default=[*EXPERIMENTS], metavar="EXPERIMENT",
                        help=f"of {', '.join(EXPERIMENTS)}; all of them by default")  # fmt: skip
    parser.add_argument("--seeds", type=int, default=1000, help="no more than so many of each")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--match", default="", help="only trials with this in their key")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the raw results")
    parser.add_argument("--charts", type=Path, help="draw the charts into this folder")
    options = parser.parse_args()
    if unknown := set(options.experiments) - set(EXPERIMENTS):
        parser.error(f"there is no experiment {', '.join(sorted(unknown))}")
    records = Records(options.results)
    broken = asyncio.run(_serve(options, records))
    report(records, options.charts)
    for each in broken:
        print(f"BROKEN {each}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
