"""What there is to run: one job a deployment, by scenario, arm and seed."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

EXPERIMENTS: Final = ("sound", "healing", "noise", "gepa", "null", "drift", "speed")
_FILE: Final = Path(__file__).with_name("scenarios.toml")


@dataclass(frozen=True, slots=True)
class Job:
    """One trial: a fresh deployment in which one thing is wrong, treated by one arm."""

    experiment: str
    scenario: str
    agent: str
    strength: float | None
    arm: str
    seed: int

    @property
    def key(self) -> str:
        """What tells it from all others, whenever it is run."""
        return f"{self.experiment}/{self.scenario}/{self.agent}/{self.arm}/{self.seed}"


@cache
def scenarios() -> dict[str, Any]:
    """Return the file of scenarios."""
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


def jobs(experiment: str, most_seeds: int) -> list[Job]:
    """Return an experiment's jobs, those of a seed together; `most_seeds` cuts it short."""
    made = sorted(_JOBS[experiment](), key=lambda job: job.seed)
    return [job for job in made if job.seed < most_seeds]


def _defects() -> Iterator[tuple[str, str, float]]:
    for each in scenarios()["healing"]["defects"]:
        yield each["name"], each["agent"], each["strength"]


def defect_row(name: str) -> dict[str, Any]:
    """Return the row of a defect in the file of scenarios; empty if it is not listed."""
    rows: list[dict[str, Any]] = scenarios()["healing"]["defects"]
    return next((row for row in rows if row["name"] == name), {})


def _healing(experiment: str) -> Iterator[Job]:
    plan = scenarios()[experiment]
    wanted = set(plan.get("defects", ())) if experiment == "gepa" else None
    for name, agent, strength in _defects():
        if wanted is None or name in wanted:
            for arm in plan["arms"]:
                for seed in range(_seeds(plan, agent, strength, arm)):
                    yield Job(experiment, name, agent, strength, arm, seed)


def _seeds(plan: dict[str, Any], agent: str, strength: float, arm: str) -> int:
    """Return the number of seeds of a defect under an arm."""
    seeds: int | dict[str, int] = plan["seeds"]
    if isinstance(seeds, int):
        return seeds
    if arm == "swap":
        return int(plan["seeds_of_swap"])
    return seeds[agent] if strength < 0.6 else int(plan["seeds_at_06"])


def _sound() -> Iterator[Job]:
    """Have the undamaged prompts do the same unseen work, in both kinds of noise."""
    seeds = scenarios()["healing"]["seeds"]
    # What is measured of a manager is the worker's work.
    most = {"worker": max(seeds["worker"], seeds["manager"]), "evaluator": seeds["evaluator"]}
    for agent, count in most.items():
        for seed in range(count):
            yield Job("sound", "undamaged", agent, None, "none", seed)
    for seed in range(scenarios()["noise"]["seeds"]):
        for agent in ("worker", "evaluator"):
            yield Job("sound", "undamaged-noisy", agent, None, "none", seed)


def _null() -> Iterator[Job]:
    plan = scenarios()["null"]
    for agent, passes in plan["passes"].items():
        for seed in range(passes):
            yield Job("null", "null", agent, None, "selfheal", seed)
    for seed in range(plan["swaps"]):
        yield Job("null", "null", "worker", None, "swap", seed)


def _drift() -> Iterator[Job]:
    plan = scenarios()["drift"]
    for kind in plan["kinds"]:
        for seed in range(plan["seeds"]):
            yield Job("drift", kind, "worker", None, "selfheal", seed)
    for kind in plan["creeping"]:
        for seed in range(plan["creeping_seeds"]):
            yield Job("drift", kind, "worker", None, "selfheal", seed)
    for seed in range(plan["sound"]):
        yield Job("drift", "sound", "worker", None, "selfheal", seed)


def _speed() -> Iterator[Job]:
    for seed in range(scenarios()["speed"]["seeds"]):
        yield Job("speed", "hello-world", "worker", 0.0, "selfheal", seed)


_JOBS: Final = {
    "sound": _sound,
    "healing": lambda: _healing("healing"),
    "noise": lambda: _healing("noise"),
    "gepa": lambda: _healing("gepa"),
    "null": _null,
    "drift": _drift,
    "speed": _speed,
}
