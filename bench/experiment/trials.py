"""One job, from a fresh deployment to its record."""

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from typing import Any, Final

from bench.experiment import arms
from bench.experiment.jobs import Job, defect_row, scenarios
from bench.experiment.records import Record
from bench.experiment.rival import gepa
from bench.experiment.treated import Treated
from bench.experiment.work import dealt, fail, serve_sound, tasks, unseen, watched
from bench.experiment.world import control, deployment
from bench.harness.healing import HealingHarness, defect, next_day
from selfheal.app.aio import gather_bounded
from selfheal.db import prompts
from selfheal.db.types import Agent
from selfheal.optimizer.dataset.golden_verdicts import ask_judge, golden_verdicts, part_of_verdict
from selfheal.optimizer.evaluation.judge_drift import check_daily, parts_of, record
from selfheal.optimizer.rollout.monitor import monitor_release

_WATCHED_RUNS: Final = 260


async def run(job: Job, url: str, gemini: str) -> Record:
    """Run a job and return its record: the job, and what was found."""
    noise: dict[str, Any] = {}
    if job.experiment == "noise" or job.scenario == "undamaged-noisy":
        plan = scenarios()["noise"]
        noise = {"judge_noise": plan["judge_noise"], "noise": plan["worker_noise"]}
    scenario = "null" if job.experiment == "null" else "sound"
    await control(gemini, reset=True, scenario=scenario, seed=job.seed, **noise)
    found = await _TRIALS[job.experiment](job, url, gemini)
    return {"key": job.key, **asdict(job), "simulated": True, **found}


async def _sound(job: Job, url: str, gemini: str) -> Record:
    async with deployment(url, gemini) as harness:
        return {"after": asdict(await unseen(harness, gemini, job, dealt(job)[1]))}


async def _treated(job: Job, url: str, gemini: str) -> Record:
    """Damage a prompt, let runs fail, treat, and measure on unseen work."""
    known, fresh = dealt(job)
    async with deployment(url, gemini) as harness:
        if job.agent != "evaluator":
            await _known_judge(harness)
        recorded = defect_row(job.scenario).get("record", 0)
        await serve_sound(harness, job, known[:recorded])
        damaged = await harness.put_live(await defect(gemini, job.scenario), job.agent)
        watch = recorded and job.arm == "selfheal"
        began = time.monotonic()
        failed = await watched(harness, job, damaged, known) if watch else None
        if failed is not None:
            treated = Treated("rolled_back", job.agent, 0, 0, time.monotonic() - began)
        else:
            failed = await fail(harness, job, known)
            treated = await _ARMS[job.arm](harness, job)
        text = (await harness.live(job.agent)).text  # type: ignore[arg-type]
        versions = await _live(harness)
        after = await unseen(harness, gemini, job, fresh)
    return {
        "failed_runs": failed,
        "changed": [agent for agent, version in versions.items() if version != _before(
            agent, job, damaged)],
        "words": len(text.split()),
        "treated": asdict(treated),
        "after": {**asdict(after), "scores": []},
    }  # fmt: skip


def _before(agent: str, job: Job, damaged: int) -> int:
    return damaged if agent == job.agent else 1


async def _live(harness: HealingHarness) -> dict[str, int]:
    agents: tuple[Agent, ...] = ("manager", "worker", "evaluator")
    return {agent: (await harness.live(agent)).version for agent in agents}


async def _known_judge(harness: HealingHarness, hours: int = 12) -> None:
    """Put a check on record that was made so many hours ago, as the scheduler makes one a day."""
    model = harness.context.agent.evaluator.model
    prompt = await harness.live("evaluator")
    asked = [each for each in golden_verdicts() if part_of_verdict(each.id) == 0]
    opinions = await ask_judge(model, prompt.text, asked, 8)
    await record(harness.database, model.name, prompt.version, parts_of(opinions))
    await harness.execute(
        "UPDATE judge_checks SET created_at = created_at - make_interval(hours => %(hours)s)",
        hours=hours,
    )


async def _null(job: Job, url: str, gemini: str) -> Record:
    """Force a pass where nothing is wrong; if something is released, let the watch see runs."""
    known, fresh = dealt(job)
    async with deployment(url, gemini, SELFHEAL_ROLLOUT="canary") as harness:
        await fail(harness, job, known[:6])
        if job.arm == "swap":
            treated = await arms.swap(harness, job)
        else:
            treated = await arms.selfheal(harness, job, forced=True)
        found: Record = {"treated": asdict(treated)}
        if treated.outcome in ("canary", "promoted") and job.arm == "selfheal":
            found["watched"] = await _watched(harness, job)
        if treated.outcome in ("canary", "promoted"):
            found["after"] = asdict(await unseen(harness, gemini, job, fresh))
    return found


async def _watched(harness: HealingHarness, job: Job) -> Record:
    """Serve runs under what was released, as the service does, until it stands or is taken back."""
    agent: Agent = job.agent  # type: ignore[assignment]
    shuffled = random.Random(job.seed).choices(tasks(), k=_WATCHED_RUNS)
    for start in range(0, len(shuffled), 20):
        batch = shuffled[start : start + 20]
        await gather_bounded(4, lambda task: fail(harness, job, [task]), batch)
        await monitor_release(harness.database, agent)
        async with harness.database.connection() as connection:
            head = await prompts.head(connection, agent)
        if head.action == "take_back":
            return {"runs": start + 20, "ended": "taken back"}
    return {"runs": _WATCHED_RUNS, "ended": head.action}


async def _drift(job: Job, url: str, gemini: str) -> Record:
    """Have the judge known, drift, runs fail, and a pass made."""
    if job.scenario in scenarios()["drift"]["creeping"]:
        return await _creeping(job, url, gemini)
    known, _ = dealt(job)
    async with deployment(url, gemini) as harness:
        await _known_judge(harness, hours=25)
        await harness.put_live(await defect(gemini, "hello-world"))
        await fail(harness, job, known)
        if job.scenario != "sound":
            await control(gemini, scenario=job.scenario)
            treated = await arms.selfheal(harness, job)
        else:
            treated = await _only_judged(harness, job)
        async with harness.database.connection() as connection:
            released = (await prompts.released(connection, "worker")).version
    return {"treated": asdict(treated), "released": released != 2}


async def _creeping(job: Job, url: str, gemini: str) -> Record:
    """Raise the judge's scores day by day, with the service's daily check, and make passes.

    A pass that is made before the flag is raised may heal what a sound judge would heal: `biases`
    are what was added to a mark when a version was released.
    """
    plan = scenarios()["drift"]
    step: float = plan["creeping"][job.scenario]
    known, _ = dealt(job)
    flagged: list[int] = []
    passes: list[Treated] = []
    biases: list[float] = []
    async with deployment(url, gemini) as harness:
        for day in range(plan["days"]):
            await control(gemini, judge_bias=min(step * day, 1.0))
            check = await check_daily(harness.context)
            if check is not None and check.finding["flag"]:
                flagged.append(day)
            if (day + 1) % plan["pass_every"] == 0:
                await harness.put_live(await defect(gemini, "hello-world"))
                await fail(harness, job, known)
                passes.append(await arms.selfheal(harness, job, forced=True))
                if passes[-1].outcome in ("canary", "promoted"):
                    biases.append(round(step * day, 2))
            await next_day(harness)
    return {
        "treated": asdict(passes[-1]),
        "released": bool(biases),
        "biases": biases,
        "passes": [each.outcome for each in passes],
        "flag_day": flagged[0] if flagged else None,
        "flagged_days": len(flagged),
    }


async def _only_judged(harness: HealingHarness, job: Job) -> Treated:
    """Make a pass with money for the judge alone: whether it freezes is all that is asked."""
    settings = harness.context.settings.model_copy(update={"heal_budget_calls": 120})
    thrifty = replace(harness, context=replace(harness.context, settings=settings))
    return await arms.selfheal(thrifty, job)


async def _speed(job: Job, url: str, gemini: str) -> Record:
    """Measure a pass that begins at the third failure, with a model that takes its time."""
    plan = scenarios()["speed"]
    settings = {"SELFHEAL_HEAL_CONCURRENCY": str(plan["concurrency"])}
    async with deployment(url, gemini, **settings) as harness:
        await harness.put_live(await defect(gemini, "hello-world"))
        await fail(harness, job, dealt(job)[0])
        await control(gemini, latency_seconds=plan["latency_seconds"])
        return {"treated": asdict(await arms.selfheal(harness, job))}


_ARMS: Final[dict[str, Callable[[HealingHarness, Job], Awaitable[Treated]]]] = {
    "selfheal": arms.selfheal,
    "swap": arms.swap,
    "gepa": gepa,
}
_TRIALS: Final[dict[str, Callable[[Job, str, str], Awaitable[Record]]]] = {
    "sound": _sound,
    "healing": _treated,
    "noise": _treated,
    "gepa": _treated,
    "null": _null,
    "drift": _drift,
    "speed": _speed,
}
