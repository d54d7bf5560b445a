"""`python -m bench.real_outcomes --data FILE...`: the rules on recorded outcomes, as Markdown.

A file holds JSON lines, plain or compressed with gzip: {source, task, arm, passed, cost_usd?,
calls?, tags?}; other fields are ignored. Several lines of the same source, arm and task are trials
of it, and so are arms whose names differ by the number of a run or trial alone.
"""

import argparse
import sys
from pathlib import Path

from bench.real_outcomes.chart import draw
from bench.real_outcomes.records import RecordError, read_arms
from bench.real_outcomes.report import Outcomes, lines


def main(arguments: list[str] | None = None) -> int:
    """Read, measure and print; return the exit code."""
    parser = argparse.ArgumentParser(prog="bench.real_outcomes", description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="FILE")
    parser.add_argument("--repeats", type=int, default=2000, help="trials of each figure")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw acceptance to a picture")
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error("--repeats must be at least 1")
    try:
        arms = read_arms(options.data)
    except RecordError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    outcomes = Outcomes(arms, options.repeats, options.seed)
    if not outcomes.arms:
        sys.stderr.write("no arm has enough tasks\n")
        return 2
    accepted = outcomes.acceptance()
    for line in lines(outcomes, accepted):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    if options.chart and accepted:
        draw(accepted, options.chart)
    return 0


if __name__ == "__main__":
    sys.exit(main())
