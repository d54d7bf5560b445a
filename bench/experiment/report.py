"""The tables of the experiment, from the raw results."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

from bench.experiment.charts import draw
from bench.experiment.jobs import defect_row
from bench.experiment.outcomes import (
    Outcome,
    forced,
    frozen,
    outcomes,
    spread,
    undamaged,
)
from bench.experiment.records import Record, Records
from bench.experiment.watching import Watched, watch
from selfheal.optimizer.statistics import share_interval

Lines = Iterator[str]


def report(records: Records, charts: Path | None) -> None:
    """Print the tables; draw the charts if a folder is named."""
    print("\nSIMULATED: every figure is of the project's stand-in for the model.")
    for table in (_healing, _noise, _gepa, _null, _drift, _speed):
        for line in table(records):
            print(line)
    for line in _watch(watch(records)):
        print(line)
    if charts:
        for path in draw(records, charts):
            print(f"chart: {path}")


def _healing(records: Records) -> Lines:
    found = outcomes(records, "healing")
    if not found:
        return
    yield "\nhealed: unseen work passes as under the undamaged prompt, within 5 points"
    yield from _by_scenario(found, undamaged(records))
    ours = [each for each in found if each.arm == "selfheal"]
    broken = [each for each in ours if each.strength < 0.6]
    yield from _summary("at 0 and 0.3", broken)
    for agent in ("worker", "manager", "evaluator"):
        yield _line(f"the {agent}'s", [each for each in broken if each.agent == agent])
    for name, new in (("defects of before", False), ("new defects", True)):
        chosen = [each for each in broken if defect_row(each.scenario).get("new", False) == new]
        yield _line(name, chosen)
    yield from _summary("at 0.6", [each for each in ours if each.strength >= 0.6])


def _line(name: str, ours: Sequence[Outcome]) -> str:
    """Return what an agent's or other part of the trials came to."""
    if not ours:
        return f"  {name}: no trials"
    blamed = _share([each.blamed_right for each in ours])
    calls = median(each.calls for each in ours)
    return (f"  {name}: healed {_share([each.healed for each in ours])} of {len(ours)},"
            f" right agent {blamed}, median calls {calls:.0f}")  # fmt: skip


def _by_scenario(found: Sequence[Outcome], sound: float | None) -> Lines:
    yield (f"{'defect':<24} {'agent':<10} {'pass':>4} | {'n':>3} {'healed':>18} {'blamed':>7}"
           f" {'calls':>6} {'unseen':>14} | {'swap healed':>18} {'unseen':>14}")  # fmt: skip
    for name in dict.fromkeys(each.scenario for each in found):
        here = [each for each in found if each.scenario == name]
        ours, swap = ([each for each in here if each.arm == arm] for arm in ("selfheal", "swap"))
        first = here[0]
        yield (f"{name:<24} {first.agent:<10} {first.strength:>4} | {_cells(ours)} | "
               f"{_share([each.healed for each in swap]):>18} {_mean(swap):>14}")  # fmt: skip
    if sound is not None:
        yield f"under the undamaged prompts {sound:.1%} of the worker's unseen work passes"


def _cells(ours: Sequence[Outcome]) -> str:
    if not ours:
        return f"{'-':>52}"
    calls = median(each.calls for each in ours)
    blamed = sum(each.blamed_right for each in ours) / len(ours)
    return (f"{len(ours):>3} {_share([each.healed for each in ours]):>18} {blamed:>7.0%}"
            f" {calls:>6.0f} {_mean(ours):>14}")  # fmt: skip


def _summary(name: str, ours: Sequence[Outcome]) -> Lines:
    if not ours:
        return
    healed = [each.healed for each in ours]
    honest = [each.healed or not each.released for each in ours]
    yield f"{name}: healed {_share(healed)} of {len(ours)}"
    yield f"  right agent blamed: {_share([each.blamed_right for each in ours])}"
    yield f"  median calls: {median(each.calls for each in ours):.0f}"
    yield f"  healed, or nothing released: {_share(honest)}"
    ends = sorted({each.outcome for each in ours})
    counts = ", ".join(f"{end} {sum(each.outcome == end for each in ours)}" for end in ends)
    yield f"  outcomes: {counts}"
    if idle := next((each for each in ours if not each.released and each.reason), None):
        yield f"  one that released nothing ({idle.scenario}, seed {idle.seed}): {idle.reason}"


def _noise(records: Records) -> Lines:
    found = outcomes(records, "noise")
    if found:
        yield "\nwith a judge of sigma 0.15 and a worker that slips in 20 % of its programs"
        yield from _by_scenario(found, undamaged(records, noisy=True))
        for name, strengths in (("at 0 and 0.3", (0.0, 0.3)), ("at 0.6", (0.6,))):
            yield from _summary(name, [each for each in found if each.strength in strengths])


def _gepa(records: Records) -> Lines:
    theirs = outcomes(records, "gepa")
    if not theirs:
        return
    keys = {(each.scenario, each.seed) for each in theirs}
    rows = [each for each in outcomes(records, "healing") if (each.scenario, each.seed) in keys]
    yield "\nbeside GEPA: the same writer, cases, seeds and budget of calls"
    yield (f"{'arm':<12} {'n':>3} {'healed':>18} {'unseen':>14} {'calls':>6} {'tokens':>8}"
           f" {'words':>6} {'seconds':>8} {'released, not healed':>21}")  # fmt: skip
    for arm in ("selfheal", "gepa", "swap"):
        here = [each for each in (*rows, *theirs) if each.arm == arm]
        if here:
            yield _arm(arm, here)


def _arm(arm: str, here: Sequence[Outcome]) -> str:
    def middle(value: Callable[[Outcome], float]) -> float:
        return median(map(value, here))

    wrong = sum(each.released and not each.healed for each in here)
    return (f"{arm:<12} {len(here):>3} {_share([each.healed for each in here]):>18}"
            f" {_mean(here):>14} {middle(lambda e: e.calls):>6.0f}"
            f" {middle(lambda e: e.tokens):>8.0f} {middle(lambda e: e.words):>6.0f}"
            f" {middle(lambda e: e.seconds):>8.1f} {wrong:>21}")  # fmt: skip


def _null(records: Records) -> Lines:
    for arm in ("selfheal", "swap"):
        rows = records.of("null", arm=arm)
        if not rows:
            continue
        released = [row for row in rows if forced(row)]
        stayed = [row for row in released if row.get("watched", {}).get("ended") != "taken back"]
        calls = median(row["treated"]["calls"] for row in rows)
        yield f"\nnothing is wrong, {arm}: {len(rows)} forced passes, median {calls:.0f} calls"
        yield f"  released: {_share([forced(row) for row in rows])}; after the watch: {len(stayed)}"
        if released:
            after = [row["after"]["passed"] for row in released]
            yield f"  unseen work under what was released: {spread(after)}"
        yield f"  outcomes: {_counted(row['treated']['outcome'] for row in rows)}"


def _drift(records: Records) -> Lines:
    rows = records.of("drift")
    if not rows:
        return
    yield "\nthe judge drifts"
    for kind in dict.fromkeys(row["scenario"] for row in rows):
        here = [row for row in rows if row["scenario"] == kind]
        released = sum(row["released"] for row in here)
        yield (f"  {kind:<14} {len(here):>3} trials, frozen {_share(list(map(frozen, here)))},"
               f" released {released}")  # fmt: skip
        if "flag_day" in here[0]:
            days = sorted(row["flag_day"] for row in here if row["flag_day"] is not None)
            yield f"  {'':<14} flagged on days {days}, never: {len(here) - len(days)}"


def _speed(records: Records) -> Lines:
    rows: Sequence[Record] = records.of("speed")
    if rows:
        seconds = sorted(round(row["treated"]["seconds"], 1) for row in rows)
        calls = sorted(row["treated"]["calls"] for row in rows)
        yield f"\nfrom the third failure to the release, calls of 1 s, 16 at once: {seconds} s"
        yield f"  calls: {calls}, outcomes: {_counted(row['treated']['outcome'] for row in rows)}"


def _watch(found: Watched | None) -> Lines:
    if found:
        yield "\nthe watch, over replays of recorded scores"
        yield f"  canaries without a difference taken back: {_share(found.identical)}"
        yield f"  by hand a version of {found.harmful_rate:.2f} after {found.sound_rate:.2f}"
        yield f"    taken back: {_share([each is not None for each in found.harmful])}"
        runs = [each for each in found.harmful if each is not None]
        yield f"    after a median of {median(runs):.0f} runs" if runs else "    never"


def _counted(values: Iterator[str]) -> str:
    counts = list(values)
    return ", ".join(f"{each} {counts.count(each)}" for each in sorted(set(counts)))


def _share(counts: Sequence[bool]) -> str:
    if not counts:
        return "-"
    low, high = share_interval(sum(counts), len(counts))
    return f"{sum(counts) / len(counts):.1%} ({low:.0%}-{high:.0%})"


def _mean(here: Sequence[Outcome]) -> str:
    return spread([each.after for each in here])
