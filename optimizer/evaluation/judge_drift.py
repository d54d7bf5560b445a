"""Checks of the judge for drift on golden verdicts, daily and before healing."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Final

from selfheal.app.errors import EvaluationError
from selfheal.app.llm.client import CALLS_AN_ANSWER
from selfheal.app.llm.usage import metered
from selfheal.db import judge_checks, prompts
from selfheal.db.judge_checks import CheckClaim, JudgeCheck
from selfheal.db.pool import Connection, Database
from selfheal.db.prompts import Prompt
from selfheal.db.types import Agent
from selfheal.optimizer.context import OptimizerContext
from selfheal.optimizer.dataset.golden_verdicts import (
    Agreement,
    GoldenVerdict,
    Opinion,
    agreement,
    ask_judge,
    first_error,
    golden_verdicts,
    traced_check,
)
from selfheal.optimizer.outcomes import distrust
from selfheal.optimizer.state import Count, JudgeFinding, SoundCheck
from selfheal.optimizer.statistics import fewer_than_usual
from selfheal.optimizer.wording import sentence

EVERY: Final = 3  # the first stage of a check: every third golden verdict, of every kind
DRIFT_AT: Final = 0.01  # a lower p-value is drift
BEYOND_DOUBT: Final = 1e-6  # a lower p-value needs no second stage
LEAST_EXPECTED: Final = (75, 100)  # the least agreement of a judge without earlier checks
LEAST_ANSWERED: Final = 0.5  # the share of golden verdicts that must be answered

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DriftCheck:
    """The result of a check of the judge.

    Attributes:
        model: the judge's model.
        prompt_version: the version of the evaluator's prompt.
        asked: how many golden verdicts were answered.
        agreed: on how many of them the judge agreed.
        usual: the counts of earlier checks, as (agreed, asked); None without any.
        drifted: the judge agrees on fewer than in earlier checks.
        low: there are no earlier checks, and the judge agrees on fewer than any judge should.
        sound_version: the newest evaluator prompt under which this model passed a check, if it
            never passed one under the present prompt. The prompt is the cause then.
        check: the id of the stored check.
        fresh: the result is that of an earlier check of the last 24 hours, so the judge was not
            asked again.
        compared: the newest checks that were passed, newest first.
        opinions: the judge's scores, 0 to 1, by the id of the golden verdict; None where it gave no
            usable answer. Empty if it was not asked.
    """

    model: str
    prompt_version: int
    asked: int
    agreed: int
    usual: Count | None
    drifted: bool
    low: bool = False
    sound_version: int | None = None
    check: int = 0
    fresh: bool = False
    compared: Sequence[SoundCheck] = ()
    opinions: Mapping[str, float | None] = field(default_factory=dict)

    def as_json(self) -> JudgeFinding:
        """Return it for the state and the receipt, without the opinions."""
        return JudgeFinding(
            model=self.model,
            prompt_version=self.prompt_version,
            asked=self.asked,
            agreed=self.agreed,
            usual=self.usual,
            drifted=self.drifted,
            low=self.low,
            sound_version=self.sound_version,
            check=self.check,
            fresh=self.fresh,
            compared=list(self.compared),
        )


async def check_daily(context: OptimizerContext) -> DriftCheck | None:
    """Check the judge unless it was checked within 24 hours; retry a failed check after an hour.

    The calls are reserved from the day's limit for healing.

    Returns:
        The result; None if no check is due, the day's limit is reached, or another process is
        checking the judge.

    Raises:
        RunError: the judge does not answer, so there is no result.
        DatabaseError: Postgres cannot be reached or refused.
    """
    claim = await _claim_check(context)
    if claim is None:
        return None
    with metered() as usage:
        try:
            result = await check_judge(context, None)
        finally:
            async with context.database.connection() as connection:
                await judge_checks.settle(connection, claim, usage["calls"])
    if result.drifted or result.low:
        logger.warning("healing is blocked: %s", sentence(distrust(result.as_json())))
    return result


async def _claim_check(context: OptimizerContext) -> CheckClaim | None:
    async with context.database.connection() as connection:
        version = (await prompts.released(connection, "evaluator")).version
        return await judge_checks.claim_check(
            connection,
            model=context.agent.evaluator.model.name,
            prompt_version=version,
            calls=CALLS_AN_ANSWER * len(golden_verdicts()),
            daily=context.settings.heal_daily_calls,
        )


async def check_judge(context: OptimizerContext, healing_id: str | None) -> DriftCheck:
    """Return the result of the last 24 hours, or check the judge now.

    A check has two stages: a third of the golden verdicts, then the others if the first result is
    significant but not beyond doubt. The first check that is passed is the baseline of later ones.

    Args:
        context: the optimizer's context.
        healing_id: the healing that is charged; None if the calls are reserved already.

    Raises:
        EvaluationError: the judge answered too few golden verdicts.
        BudgetSpentError: the budget does not cover the check.
    """
    model = context.agent.evaluator.model.name
    async with context.database.connection() as connection:
        prompt = await prompts.released(connection, "evaluator")
        recent = await judge_checks.recent(connection, model, prompt.version)
        compared = _past_checks(await judge_checks.latest_calibrated(connection))
    if recent:
        return assess(
            Agreement(recent.asked, recent.agreed, 0, 0.0),
            compared,
            model=model,
            version=prompt.version,
            check=recent.id,
            fresh=True,
        )
    first, rest = _stages(golden_verdicts())
    baseline = pooled_counts(compared) or LEAST_EXPECTED
    with traced_check(model, prompt.version) as outputs:
        opinions = await _ask(context, healing_id, prompt, first)
        summary = agreement(opinions)
        if BEYOND_DOUBT < p_value(summary, baseline) < DRIFT_AT:
            opinions += await _ask(context, healing_id, prompt, rest)
            summary = agreement(opinions)
        outputs.update(asdict(summary))
    result = await record(context.database, model, prompt.version, summary)
    return replace(result, opinions={opinion.golden.id: opinion.score for opinion in opinions})


def assess(
    summary: Agreement,
    compared: Sequence[SoundCheck],
    *,
    model: str,
    version: int,
    check: int = 0,
    fresh: bool = False,
) -> DriftCheck:
    """Compare an agreement with earlier checks. Pure, so that it can be verified.

    Args:
        summary: the agreement to assess.
        compared: the newest checks that were passed, newest first.
        model: the judge's model.
        version: the version of the evaluator's prompt.
        check: the id of the stored check.
        fresh: it was assessed, and passed, in the last 24 hours.
    """
    usual = pooled_counts(compared)
    suspicious = not fresh and is_suspect(summary, usual or LEAST_EXPECTED)
    return DriftCheck(
        model,
        version,
        summary.asked,
        summary.agreed,
        usual,
        drifted=suspicious and usual is not None,
        low=suspicious and usual is None,
        sound_version=None if fresh else calibrated_version(compared, model, version),
        check=check,
        fresh=fresh,
        compared=compared,
    )


def blocks_healing(
    judge: JudgeFinding, asked_about: Agent | None, *, shortening: bool = False
) -> bool:
    """Tell whether the judge is too unreliable to heal by.

    Args:
        judge: the result of the check.
        asked_about: the agent that the healing was requested for, if any. If the evaluator's own
            prompt is the cause of the drift, a healing of the evaluator is not blocked.
        shortening: the healing is to shorten a prompt. A judge that cannot tell good from bad
            would miss no sentence, so it has to pass the check.
    """
    if shortening:
        return judge["drifted"] or judge["low"]
    broken = judge["sound_version"] is not None and asked_about in (None, "evaluator")
    return judge["drifted"] and not broken


def calibrated_version(compared: Sequence[SoundCheck], model: str, version: int) -> int | None:
    """Return the newest other prompt under which a model passed a check.

    Args:
        compared: the newest checks that were passed, newest first.
        model: the judge's model.
        version: the present version of its prompt.

    Returns:
        The version; None if there is none, or if the model passed a check under the present one.
    """
    versions = [check["prompt_version"] for check in compared if check["model"] == model]
    if not versions or version in versions:
        return None
    return versions[0]


def is_suspect(summary: Agreement, usual: Count) -> bool:
    """Tell whether a judge agrees on significantly fewer verdicts than usual (exact, p < 0.01)."""
    return p_value(summary, usual) < DRIFT_AT


def p_value(summary: Agreement, usual: Count) -> float:
    """Return the probability of so little agreement of a judge that has not changed.

    Args:
        summary: the agreement.
        usual: the counts of earlier checks, as (agreed, asked).
    """
    agreed, asked = usual
    return fewer_than_usual(summary.agreed, summary.asked, agreed, asked)


def pooled_counts(compared: Sequence[SoundCheck]) -> Count | None:
    """Return the summed counts of checks, as (agreed, asked); None if there are none."""
    if not compared:
        return None
    agreed = sum(check["agreed"] for check in compared)
    return agreed, sum(check["asked"] for check in compared)


def _past_checks(checks: Sequence[JudgeCheck]) -> list[SoundCheck]:
    return [
        SoundCheck(
            model=check.model,
            prompt_version=check.prompt_version,
            agreed=check.agreed,
            asked=check.asked,
        )
        for check in checks
    ]


def _stages(
    verdicts: tuple[GoldenVerdict, ...],
) -> tuple[list[GoldenVerdict], list[GoldenVerdict]]:
    """Divide the golden verdicts between the two stages, each with every kind."""
    ordered = sorted(verdicts, key=lambda verdict: (verdict.kind, verdict.id))
    rest = [verdict for place, verdict in enumerate(ordered) if place % EVERY]
    return ordered[::EVERY], rest


async def _ask(
    context: OptimizerContext, healing_id: str | None, prompt: Prompt, verdicts: list[GoldenVerdict]
) -> list[Opinion]:
    settings = context.settings
    model = context.agent.evaluator.model
    work = ask_judge(model, prompt.text, verdicts, settings.heal_concurrency)
    if healing_id is None:
        opinions = await work
    else:
        calls = CALLS_AN_ANSWER * len(verdicts)
        opinions, _ = await context.budget.charge(context.hold(healing_id), calls, work)
    answered = sum(opinion.score is not None for opinion in opinions)
    if answered < LEAST_ANSWERED * len(opinions):
        raise EvaluationError(
            f"the judge answered {answered} of {len(opinions)} golden verdicts; the first error:"
            f" {first_error(opinions)}"
        )
    return opinions


async def record(database: Database, model: str, version: int, summary: Agreement) -> DriftCheck:
    """Assess an agreement and store the check. A check that was not passed is no baseline."""

    async def compare(connection: Connection) -> DriftCheck:
        compared = _past_checks(await judge_checks.latest_calibrated(connection))
        result = assess(summary, compared, model=model, version=version)
        check = await judge_checks.add(
            connection,
            model=model,
            prompt_version=version,
            asked=summary.asked,
            agreed=summary.agreed,
            drifted=result.drifted or result.low,
        )
        return replace(result, check=check.id)

    return await database.run(compare)
