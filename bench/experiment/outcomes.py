"""What a record says, once it is held against the undamaged prompts on the same work."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from bench.experiment.records import Record, Records

WITHIN = 0.05


@dataclass(frozen=True, slots=True)
class Outcome:
    """One treatment and what it came to.

    `after`: the share of unseen work that is right under it: passes, or of a judge, verdicts that
    are true. `released`: a prompt was changed.
    """

    scenario: str
    agent: str
    strength: float
    arm: str
    seed: int
    outcome: str
    blamed_right: bool
    released: bool
    healed: bool
    after: float
    calls: int
    tokens: int
    words: int
    seconds: float
    reason: str


def outcomes(records: Records, experiment: str) -> list[Outcome]:
    """Return an experiment's outcomes; those without an undamaged counterpart are left out."""
    scenario = "undamaged-noisy" if experiment == "noise" else "undamaged"
    sound = {
        (row["agent"] == "evaluator", row["seed"]): measured(row)
        for row in records.of("sound", scenario=scenario)
    }
    return [
        _outcome(row, sound[row["agent"] == "evaluator", row["seed"]])
        for row in records.of(experiment)
        if (row["agent"] == "evaluator", row["seed"]) in sound
    ]


def _outcome(row: Record, sound: float) -> Outcome:
    treated, after = row["treated"], measured(row)
    return Outcome(
        scenario=row["scenario"],
        agent=row["agent"],
        strength=row["strength"],
        arm=row["arm"],
        seed=row["seed"],
        outcome=treated["outcome"],
        blamed_right=treated["blamed"] == row["agent"],
        released=bool(row["changed"]),
        healed=after >= sound - WITHIN - 1e-9,
        after=after,
        calls=treated["calls"],
        tokens=treated["tokens"],
        words=row["words"],
        seconds=treated["seconds"],
        reason=treated.get("reason", ""),  # records of before have none
    )


def measured(row: Record) -> float:
    """Return the share of unseen work that was right, by what the agent is there for."""
    share: float = row["after"]["right" if row["agent"] == "evaluator" else "passed"]
    return share


def undamaged(records: Records, *, noisy: bool = False) -> float | None:
    """Return the share of unseen work that passes under the undamaged prompts, on average."""
    scenario = "undamaged-noisy" if noisy else "undamaged"
    rows = records.of("sound", scenario=scenario, agent="worker")
    return fmean(map(measured, rows)) if rows else None


def forced(row: Record) -> bool:
    """Tell whether a forced pass released something."""
    return row["treated"]["outcome"] in ("canary", "promoted")


def frozen(row: Record) -> bool:
    """Tell whether a pass ended because the judge had drifted."""
    return bool(row["treated"]["outcome"] == "frozen")


def spread(values: Sequence[float]) -> str:
    """Return a mean with half the width of its 95 % interval, over trials."""
    if not values:
        return "-"
    if len(values) < 2:
        return f"{values[0]:.1%}"
    return f"{fmean(values):.1%} ±{1.96 * stdev(values) / math.sqrt(len(values)):.1%}"
