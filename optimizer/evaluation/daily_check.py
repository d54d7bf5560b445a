"""The judge asked once a day, so that it is known how it judges before anything fails."""

import logging

from selfheal.app.llm.client import CALLS_AN_ANSWER
from selfheal.app.llm.usage import metered
from selfheal.db import judge_checks, prompts
from selfheal.db.judge_checks import Turn
from selfheal.optimizer.context import OptimizerContext
from selfheal.optimizer.dataset.golden_verdicts import golden_verdicts
from selfheal.optimizer.evaluation.judge_drift import Finding, examine
from selfheal.optimizer.outcomes import distrust
from selfheal.optimizer.wording import sentence

logger = logging.getLogger(__name__)


async def ask_daily(doctor: OptimizerContext) -> Finding | None:
    """Ask the judge unless it was asked within 24 hours, at most once an hour if it fails.

    What it costs is reserved from the day's allowance of healing.

    Returns:
        What was found; None if it is not the time, the allowance is spent, or another process is
        at it.

    Raises:
        RunError: the judge does not answer, so nothing is known.
        DatabaseError: Postgres cannot be reached or refused.
    """
    turn = await _take(doctor)
    if turn is None:
        return None
    with metered() as usage:
        try:
            finding = await examine(doctor, None)
        finally:
            async with doctor.database.connection() as connection:
                await judge_checks.settle(connection, turn, usage["calls"])
    if finding.drifted or finding.low:
        logger.warning("healing is frozen: %s", sentence(distrust(finding.as_json())))
    return finding


async def _take(doctor: OptimizerContext) -> Turn | None:
    calls = CALLS_AN_ANSWER * len(golden_verdicts())
    async with doctor.database.connection() as connection:
        version = (await prompts.released(connection, "evaluator")).version
        return await judge_checks.take_turn(
            connection,
            model=doctor.agent.evaluator.model.name,
            prompt_version=version,
            calls=calls,
            daily=doctor.settings.heal_daily_calls,
        )
