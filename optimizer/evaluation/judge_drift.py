"""Checks of the judge for drift on golden verdicts, daily and before healing.

The rules are those of optimizer/policy/judge_drift.py; here the judge is asked, and what follows is
stored.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Final

from selfheal.app.errors import EvaluationError
from selfheal.app.llm.client import CALLS_AN_ANSWER
from selfheal.app.llm.usage import metered
from selfheal.db import judge_checks, prompts
from selfheal.db.errors import NotFoundError
from selfheal.db.judge_checks import CheckClaim, JudgeCheck
from selfheal.db.judge_checks import JudgeFlag as StoredFlag
from selfheal.db.pool import Connection, Database
from selfheal.db.prompts import Prompt
from selfheal.db.reasons import because
from selfheal.optimizer.context import OptimizerContext
from selfheal.optimizer.dataset.golden_verdicts import (
    GoldenVerdict,
    Opinion,
    agreement,
    ask_judge,
    first_error,
    golden_verdicts,
    part_of_verdict,
    traced_check,
)
from selfheal.optimizer.outcomes import distrust
from selfheal.optimizer.policy import judge_drift
from selfheal.optimizer.policy.judge_drift import ANCHOR_CHECKS, PARTS, FullCheck
from selfheal.optimizer.records.cases import Count
from selfheal.optimizer.records.judge import JudgeFinding, JudgeFlag, JudgePart, SoundCheck
from selfheal.optimizer.wording import sentence

LEAST_ANSWERED: Final = 0.5  # the share of golden verdicts that must be answered

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DriftCheck:
    """What is known of the judge, with its answers if it was asked now.

    Attributes:
        finding: for the state and the receipt.
        opinions: the judge's scores, 0 to 1, by the id of the golden verdict; None where it gave no
            usable answer. Empty if it was not asked.
    """

    finding: JudgeFinding
    opinions: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Reference:
    """What a judge is compared with, and the flag that stands.

    Attributes:
        compared: the checks of its anchor, oldest first; those of the same model under an earlier
            prompt until it has passed one of its own.
        sound_version: that earlier prompt, unless the model has a flag there.
    """

    compared: Sequence[SoundCheck]
    sound_version: int | None
    flag: JudgeFlag | None

    @property
    def usual(self) -> Count | None:
        return judge_drift.pooled(self.compared)


async def check_daily(context: OptimizerContext) -> DriftCheck | None:
    """Check the judge unless it was checked within 24 hours; retry a failed check after an hour.

    While its flag stands, all golden verdicts are asked, so that it can be lifted. The calls are
    reserved from the day's limit for healing.

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
            result = await ask(context, None)
        finally:
            async with context.database.connection() as connection:
                await judge_checks.settle(connection, claim, usage["calls"])
    if result.finding["flag"]:
        logger.warning("healing is frozen: %s", sentence(distrust(result.finding)))
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


async def known(database: Database, model: str) -> DriftCheck:
    """Return what is stored of the judge under the live prompt, without asking it.

    A flag comes first; else a check that was passed within 24 hours (`fresh`); else nothing is
    known of it now, and `asked` is 0.

    Args:
        database: where its checks are.
        model: the judge's model, as configured.
    """
    async with database.connection() as connection:
        version = (await prompts.released(connection, "evaluator")).version
        reference = await _reference(connection, model, version)
        recent = await judge_checks.recent(connection, model, version)
    if flag := reference.flag:
        return DriftCheck(
            _finding(model, version, reference, (flag["agreed"], flag["asked"]), flag["check"])
        )
    if recent:
        found = (recent.agreed, recent.asked)
        return DriftCheck(_finding(model, version, reference, found, recent.id, fresh=True))
    return DriftCheck(_finding(model, version, reference, (0, 0), 0))


async def ask(context: OptimizerContext, healing_id: str | None) -> DriftCheck:
    """Ask the judge in thirds until the result is clear, store the check, and raise or lift a flag.

    Which third comes first rotates from check to check, so that each is looked at every few days
    and the anchor is that of all golden verdicts. The daily check of a judge whose flag stands asks
    all of them, since only such a check can lift it.

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
        reference = await _reference(connection, model, prompt.version)
        first = await judge_checks.count(connection, model, prompt.version) % PARTS
    opinions: list[Opinion] = []
    parts: list[JudgePart] = []
    with traced_check(model, prompt.version) as outputs:
        for number in ((first + turn) % PARTS for turn in range(PARTS)):
            asked = await _ask(context, healing_id, prompt, _part(number))
            opinions += asked
            summary = agreement(asked)
            parts.append(JudgePart(part=number, agreed=summary.agreed, asked=summary.asked))
            step = judge_drift.after_part(counts(parts), reference.usual)
            if step != "continue" and (reference.flag is None or healing_id):
                break
        outputs.update(asdict(agreement(opinions)))
    finding = await record(context.database, model, prompt.version, parts)
    return DriftCheck(finding, {each.golden.id: each.score for each in opinions})


def counts(parts: Sequence[JudgePart]) -> list[Count]:
    """Return the agreement on each part, as (agreed, asked)."""
    return [(part["agreed"], part["asked"]) for part in parts]


def parts_of(opinions: Sequence[Opinion]) -> list[JudgePart]:
    """Return the agreement on each third that opinions are of, in the thirds' order."""
    found: list[JudgePart] = []
    for number in range(PARTS):
        if own := [each for each in opinions if part_of_verdict(each.golden.id) == number]:
            summary = agreement(own)
            found.append(JudgePart(part=number, agreed=summary.agreed, asked=summary.asked))
    return found


async def record(
    database: Database, model: str, version: int, parts: Sequence[JudgePart]
) -> JudgeFinding:
    """Assess the parts of a check and store it; raise the judge's flag, or lift it.

    A check is sound, and one of the anchor's if it is among the first, if no flag stands after it.

    Args:
        database: where it is stored.
        model: the judge's model, as configured.
        version: the version of the evaluator's prompt.
        parts: the thirds that were asked, in their order; with at least one answer.
    """

    async def assess(connection: Connection) -> JudgeFinding:
        await judge_checks.lock(connection, model, version)
        reference = await _reference(connection, model, version)
        found, complete = judge_drift.total(counts(parts)), len(parts) == PARTS
        lifted = reference.flag is not None and await _recovered(
            connection, model, version, reference, found, complete=complete
        )
        standing = reference.flag is not None and not lifted
        raised = reference.flag is None and judge_drift.raises_flag(
            found, reference.usual, complete=complete
        )
        check = await judge_checks.add(
            connection,
            model=model,
            prompt_version=version,
            asked=found[1],
            agreed=found[0],
            drifted=standing or raised,
            complete=complete,
        )
        flag = reference.flag if standing else None
        if raised:
            new = await judge_checks.raise_flag(connection, check, reference.usual)
            flag = flag_as_recorded(new, check)
        after = replace(reference, flag=flag)
        return _finding(model, version, after, found, check.id, parts=parts)

    return await database.run(assess)


async def lift(connection: Connection, model: str, *, actor: str, reason: str) -> StoredFlag:
    """Lift a judge's flag: an operator accepts the judge as it is, and its anchor starts anew.

    The floor still holds for it.

    Args:
        connection: where it is stored.
        model: the judge's model, as configured.
        actor: who lifts it.
        reason: the operator's words.

    Raises:
        NotFoundError: no flag of this judge stands under the live evaluator prompt.
    """
    version = (await prompts.released(connection, "evaluator")).version
    lifted = await judge_checks.lift_flag(
        connection, model, version, actor=actor, reason=because("note", text=reason), accepted=True
    )
    if lifted is None:
        raise NotFoundError(
            f"no flag of the judge {model} (evaluator prompt {version}) that could be lifted"
        )
    return lifted


async def _recovered(
    connection: Connection,
    model: str,
    version: int,
    reference: _Reference,
    found: Count,
    *,
    complete: bool,
) -> bool:
    """Lift a judge's flag if this check and those before it show that it has recovered."""
    assert reference.flag is not None  # noqa: S101 - the caller looked
    if not complete:
        return False
    earlier = await judge_checks.complete_since(connection, model, version, reference.flag["check"])
    now = await judge_checks.now(connection)
    checks = [
        FullCheck(*found, now),
        *(FullCheck(check.agreed, check.asked, check.created_at) for check in earlier),
    ]
    if not judge_drift.lifts_flag(checks, reference.usual):
        return False
    reason = because("judge_recovered", agreed=found[0], asked=found[1])
    lifted = await judge_checks.lift_flag(
        connection, model, version, actor="optimizer", reason=reason, accepted=False
    )
    logger.info("the judge %s is trusted again: %s", model, sentence(reason))
    return lifted is not None


async def _reference(connection: Connection, model: str, version: int) -> _Reference:
    compared = await judge_checks.anchor(connection, model, version, ANCHOR_CHECKS)
    sound_version = None
    if not compared:
        earlier = await judge_checks.earlier_version(connection, model, version)
        if earlier:
            compared = await judge_checks.anchor(
                connection, model, earlier.prompt_version, ANCHOR_CHECKS
            )
            sound_version = None if earlier.flagged else earlier.prompt_version
    standing = await judge_checks.standing_flag(connection, model, version)
    flag = None
    if standing:
        (check,) = await judge_checks.of_ids(connection, [standing.check_id])
        flag = flag_as_recorded(standing, check)
    return _Reference([_sound(check) for check in compared], sound_version, flag)


def _sound(check: JudgeCheck) -> SoundCheck:
    return SoundCheck(
        check=check.id,
        model=check.model,
        prompt_version=check.prompt_version,
        agreed=check.agreed,
        asked=check.asked,
    )


def flag_as_recorded(flag: StoredFlag, check: JudgeCheck) -> JudgeFlag:
    """Return a stored flag, with the check that raised it, as state and receipt have it."""
    known_usual = flag.usual_agreed is not None and flag.usual_asked is not None
    return JudgeFlag(
        id=flag.id,
        check=check.id,
        agreed=check.agreed,
        asked=check.asked,
        complete=check.complete,
        usual=(flag.usual_agreed, flag.usual_asked) if known_usual else None,  # type: ignore[typeddict-item]
    )


def _finding(
    model: str,
    version: int,
    reference: _Reference,
    found: Count,
    check: int,
    *,
    parts: Sequence[JudgePart] = (),
    fresh: bool = False,
) -> JudgeFinding:
    flag = reference.flag
    return JudgeFinding(
        model=model,
        prompt_version=version,
        asked=found[1],
        agreed=found[0],
        usual=reference.usual,
        compared=list(reference.compared),
        parts=list(parts),
        flag=flag,
        drifted=flag is not None and flag["usual"] is not None,
        low=flag is not None and flag["usual"] is None,
        sound_version=reference.sound_version,
        check=check,
        fresh=fresh,
    )


def _part(number: int) -> list[GoldenVerdict]:
    return [each for each in golden_verdicts() if part_of_verdict(each.id) == number]


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
