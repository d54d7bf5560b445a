"""The rules of fact against HumanEval's own verdicts: `python -m bench.humaneval`."""

import asyncio
import sys
import time

from selfheal.graph.sandbox.selection import open_sandbox, survey
from tests.support.humaneval import FILE, Judged, judge_all

TABLE = "{:10} {:>9} {:>9} {:>12} {:>12} {:>10} {:>9}"


async def main() -> int:
    """Print the agreement by backend; fail where it is below 99.5 % or a failing program passed."""
    if not FILE.exists():
        print(f"there is no {FILE}: nothing to compare with", file=sys.stderr)
        return 2
    print(TABLE.format("backend", "programs", "agree", "wrong pass", "wrong fail", "left out", "s"))
    worst, shown = 1.0, set[str]()
    for report in await survey():
        if not report.ok:
            print(f"{report.name:10} does not work here: {report.reason}")
            continue
        began = time.monotonic()
        async with open_sandbox(report.name) as sandbox:
            judged = await judge_all(sandbox, lambda _: None)
        worst = min(worst, _row(report.name, judged, time.monotonic() - began))
        shown |= {_difference(each) for each in judged if not each.agrees}
    print(*sorted(shown), sep="\n")
    return int(worst < 0.995)


def _row(name: str, judged: list[Judged], seconds: float) -> float:
    share = sum(each.agrees for each in judged) / len(judged)
    wrong = [each for each in judged if not each.agrees and not each.excused]
    passes = sum(each.held for each in wrong)
    excused = sum(each.excused for each in judged)
    print(
        TABLE.format(
            name,
            len(judged),
            f"{share:.2%}",
            passes,
            len(wrong) - passes,
            excused,
            f"{seconds:.0f}",
        )
    )
    return 0.0 if passes else share


def _difference(each: Judged) -> str:
    said = "; ".join(each.facts.vetoes) or "all examples hold"
    verdict = "passed" if each.sample.passed else "failed"
    return f"  {each.sample.task} #{each.sample.number}: HumanEval says {verdict}; we: {said[:200]}"


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
