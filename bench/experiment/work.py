"""The work that a deployment is given: requests that fail, and unseen requests."""

import random
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from bench.experiment.jobs import Job, scenarios
from bench.harness.healing import HealingHarness, defect, passed
from bench.harness.service import Failed, Finished
from selfheal.app.aio import gather_bounded
from selfheal.db.types import Agent
from selfheal.graph.evaluator import LocalEvaluator
from selfheal.graph.rules.checks import run_checks
from selfheal.graph.state import Request
from selfheal.optimizer.dataset.cases import golden_requests
from selfheal.optimizer.policy.detection import assess
from selfheal.optimizer.rollout.monitor import monitor_release
from selfheal.simulator.bank import BANK_FOLDER, load_bank
from selfheal.simulator.tasks import Task, read_file

AT_ONCE = 8
# Of a task's examples a request states all but one, and that one tells what is true of a program.
# To a judge's deployment it states only one, or facts alone would decide.
STATED = {"evaluator": slice(0, 1)}
ALL_BUT_ONE = slice(1, None)
# Under it, half of the work that a judge sees is wrong.
CARELESS = "no-edge-cases"
THRESHOLD = 3  # the default of SELFHEAL_FAILURE_THRESHOLD


@dataclass(frozen=True, slots=True)
class Unseen:
    """How unseen work went: shares from 0 to 1, over `of` tasks.

    `passed`: the verdict was good. `true`: the program holds on hidden examples.
    `right`: the verdict says what is true. `scores`: each run's, 0 to 1, and whether it passed.
    """

    of: int
    passed: float
    true: float
    right: float
    scores: tuple[tuple[float, bool], ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    passed: bool
    holds: bool
    score: float


@cache
def tasks() -> tuple[Task, ...]:
    """Return the tasks that no golden request is about."""
    golden = {each["id"].removeprefix("golden:") for each in golden_requests()}
    return tuple(task for name, task in load_bank().tasks.items() if name not in golden)


@cache
def _new() -> frozenset[str]:
    """Return the names of the tasks that were written after the code was frozen."""
    files = BANK_FOLDER.glob("later_*.toml")
    return frozenset(task.name for file in files for task in read_file(file))


def dealt(job: Job) -> tuple[list[Task], list[Task]]:
    """Return the job's tasks for the log, and those for afterwards; never one in both.

    Half of each are new tasks.
    """
    common = scenarios()["common"]
    luck = random.Random(job.seed)
    shuffled = luck.sample(tasks(), len(tasks()))
    new = [task for task in shuffled if task.name in _new()]
    old = [task for task in shuffled if task.name not in _new()]
    parts = []
    for count in (common["most_runs"], common["unseen"]):
        fresh = min(count // 2, len(new))
        drawn = [new.pop() for _ in range(fresh)] + [old.pop() for _ in range(count - fresh)]
        parts.append(luck.sample(drawn, count))
    return parts[0], parts[1]


async def fail(harness: HealingHarness, job: Job, known: list[Task]) -> int:
    """Send requests until enough have failed for a healing, or there are none left.

    Returns:
        How many failed.
    """
    outcomes = ""
    for task in known:
        finished = await harness.service.run(_request(task, job.agent))
        outcomes += "1" if passed(finished) else "0"
        failed = outcomes.count("0")
        if failed < scenarios()["common"]["failures"]:
            continue
        if assess(outcomes, recent=failed, threshold=THRESHOLD, usual=None)["rule"] != "none":
            break
    return outcomes.count("0")


async def serve_sound(harness: HealingHarness, job: Job, known: list[Task]) -> None:
    """Send requests under the undamaged prompts, so that a watch has a record to compare with."""
    for task in known:
        await harness.service.run(_request(task, job.agent))


async def watched(harness: HealingHarness, job: Job, damaged: int, known: list[Task]) -> int | None:
    """Send requests, with the watch after each, until it takes the damaged version back.

    Returns:
        After how many requests it was taken back; None if it was not.
    """
    agent: Agent = job.agent  # type: ignore[assignment]
    for sent, task in enumerate(known, 1):
        await harness.service.run(_request(task, job.agent))
        await monitor_release(harness.database, agent)
        if (await harness.live(agent)).version != damaged:
            return sent
    return None


async def unseen(harness: HealingHarness, gemini: str, job: Job, work: list[Task]) -> Unseen:
    """Send unseen requests. To a judge, half of it is what a careless worker has written."""
    if job.agent != "evaluator":
        seen = await _all(harness, job, work)
    else:
        half = len(work) // 2
        seen = await _all(harness, job, work[:half])
        await harness.put_live(await defect(gemini, CARELESS))
        seen += await _all(harness, job, work[half:])
    return Unseen(
        len(seen),
        _share([each.passed for each in seen]),
        _share([each.holds for each in seen]),
        _share([each.passed == each.holds for each in seen]),
        tuple((each.score, each.passed) for each in seen),
    )


def _request(task: Task, agent: str) -> Request:
    stated = task.examples[STATED.get(agent, ALL_BUT_ONE)]
    return Request(request=task.requests[0], examples=[*map(dict, stated)])  # type: ignore[list-item]


async def _all(harness: HealingHarness, job: Job, work: list[Task]) -> list[_Seen]:
    async def one(task: Task) -> _Seen:
        finished = await harness.service.run(_request(task, job.agent))
        broke = isinstance(finished.result, Failed)
        score = 0.0 if broke else finished.result["evaluation"]["score"]  # type: ignore[index]
        return _Seen(passed(finished), await _holds(harness, task, finished), score)

    return await gather_bounded(AT_ONCE, one, work)


async def _holds(harness: HealingHarness, task: Task, finished: Finished) -> bool:
    """Tell whether a program does what the task's examples say, those not shown included."""
    if isinstance(finished.result, Failed):
        return False
    head = next(line for line in task.solution.splitlines() if line.startswith(("def ", "class ")))
    plan: Any = {
        "title": "",
        "requirements": [],
        "signature": head.rstrip(":"),
        "examples": [{**each, "origin": "stated"} for each in task.examples],
    }
    sandbox = cast("LocalEvaluator", harness.context.agent.evaluator).sandbox
    return not (await run_checks(finished.result["code"], plan, sandbox)).vetoes


def _share(shares: list[bool]) -> float:
    return round(sum(shares) / len(shares), 4)
