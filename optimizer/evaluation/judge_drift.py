"""Whether the judge still judges as it did: asked again about golden verdicts, before healing."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Final

from selfheal.app.errors import EvaluationError
from selfheal.app.llm.client import CALLS_AN_ANSWER
from selfheal.db import judge_checks, prompts
from selfheal.db.judge_checks import JudgeCheck
from selfheal.db.pool import Connection, Database
from selfheal.db.prompts import Prompt
from selfheal.db.types import Agent
from selfheal.optimizer.context import OptimizerContext
from selfheal.optimizer.dataset.golden_verdicts import (
    Agreement,
    GoldenVerdict,
    Opinion,
    agreement,
    ask,
    first_error,
    golden_verdicts,
    judge_check,
)
from selfheal.optimizer.evaluation.trials import pay
from selfheal.optimizer.state import Count, JudgeFinding, SoundCheck
from selfheal.optimizer.statistics import fewer_than_usual

EVERY: Final = 3  # asked first: a third of the golden verdicts, of every kind
DRIFT_AT: Final = 0.01
LEAST_EXPECTED: Final = (75, 100)  # agreement to expect of a judge that nothing is known of
BEYOND_DOUBT: Final = 1e-6
LEAST_ANSWERED: Final = 0.5


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of the judge.

    Attributes:
        usual: what it used to agree on, as (agreed, asked), if known.
        drifted: it agrees on fewer than usual.
        low: nothing is known of it, and it agrees on fewer than any judge should.
        sound_version: the newest other evaluator prompt under which this same model was sound,
            provided that it never was under the present one: then the prompt is what is broken.
        check: the number of this check among all that were made of judges.
        fresh: it was made earlier today, and found the judge well: it was not asked again.
        compared: the newest sound checks, newest first.
        opinions: its scores by golden verdict, null where it gave none; empty if it was not asked.
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


async def examine(doctor: OptimizerContext, healing_id: str | None) -> Finding:
    """Return what is known of the judge: as of today, or by asking it now.

    A third of the golden verdicts is asked about first, and the others only where these make the
    judge suspect, and leave a doubt. Without a record to compare with, this is the record.

    Args:
        doctor: asks, and pays.
        healing_id: the healing that pays; none if it is paid for already.

    Raises:
        EvaluationError: the judge does not answer, so nothing is known.
        BudgetSpentError: there is nothing left to pay it from.
    """
    model = doctor.agent.evaluator.model.name
    async with doctor.database.connection() as connection:
        prompt = await prompts.released(connection, "evaluator")
        fresh = await judge_checks.fresh(connection, model, prompt.version)
        sound = await judge_checks.sound(connection)
    compared = _compared(sound)
    usual = pooled(compared)
    if fresh:
        return conclude(
            Agreement(fresh.asked, fresh.agreed, 0, 0.0),
            compared,
            model=model,
            version=prompt.version,
            check=fresh.id,
            fresh=True,
        )
    first, rest = _halves(golden_verdicts())
    with judge_check(model, prompt.version) as told:
        opinions = await _ask(doctor, healing_id, prompt, first)
        found = agreement(opinions)
        if BEYOND_DOUBT < surprise(found, usual or LEAST_EXPECTED) < DRIFT_AT:
            opinions += await _ask(doctor, healing_id, prompt, rest)
            found = agreement(opinions)
        told.update(asdict(found))
    finding = await record(doctor.database, model, prompt.version, found)
    scores = {each.golden.id: each.score for each in opinions}
    return replace(finding, opinions=scores)


def conclude(
    found: Agreement,
    compared: Sequence[SoundCheck],
    *,
    model: str,
    version: int,
    check: int = 0,
    fresh: bool = False,
) -> Finding:
    """Decide what an agreement says of a judge, held against the checks before it: pure."""
    usual = pooled(compared)
    unsound = not fresh and suspect(found, usual or LEAST_EXPECTED)
    return Finding(
        model,
        version,
        found.asked,
        found.agreed,
        usual,
        drifted=unsound and usual is not None,
        low=unsound and usual is None,
        sound_version=None if fresh else changed_since(compared, model, version),
        check=check,
        fresh=fresh,
        compared=compared,
    )


def freezes(judge: JudgeFinding, asked_about: Agent | None, *, shortening: bool = False) -> bool:
    """Tell whether nothing may be healed by a judge; a broken prompt of its own is healed.

    Args:
        judge: what was found of it.
        asked_about: the agent whose prompt was requested, if one was.
        shortening: a sentence seems not to be needed where a judge cannot tell good from bad, so
            that the judge has to be sound.
    """
    if shortening:
        return judge["drifted"] or judge["low"]
    broken = judge["sound_version"] is not None and asked_about in (None, "evaluator")
    return judge["drifted"] and not broken


def changed_since(compared: Sequence[SoundCheck], model: str, version: int) -> int | None:
    """Return the newest prompt under which this model was sound, if it never was under this one.

    Args:
        compared: the newest checks at which the judge was well, newest first.
        model: the judge.
        version: the prompt that it has now.
    """
    versions = [each["prompt_version"] for each in compared if each["model"] == model]
    if not versions or version in versions:
        return None
    return versions[0]


def suspect(found: Agreement, usual: Count) -> bool:
    """Tell whether a judge agrees on fewer golden verdicts than it used to (exact, p < 0.01)."""
    return surprise(found, usual) < DRIFT_AT


def surprise(found: Agreement, usual: Count) -> float:
    """Return how likely so little agreement is of a judge that is as it used to be."""
    agreed, asked = usual
    return fewer_than_usual(found.agreed, found.asked, agreed, asked)


def pooled(compared: Sequence[SoundCheck]) -> Count | None:
    """Return what is usual by some checks, as (agreed, asked); None if there are none."""
    if not compared:
        return None
    return sum(each["agreed"] for each in compared), sum(each["asked"] for each in compared)


def _compared(checks: Sequence[JudgeCheck]) -> list[SoundCheck]:
    return [
        SoundCheck(
            model=each.model,
            prompt_version=each.prompt_version,
            agreed=each.agreed,
            asked=each.asked,
        )
        for each in checks
    ]


def _halves(
    verdicts: tuple[GoldenVerdict, ...],
) -> tuple[list[GoldenVerdict], list[GoldenVerdict]]:
    """Divide so that every kind is in both parts."""
    ordered = sorted(verdicts, key=lambda each: (each.kind, each.id))
    rest = [each for place, each in enumerate(ordered) if place % EVERY]
    return ordered[::EVERY], rest


async def _ask(
    doctor: OptimizerContext, healing_id: str | None, prompt: Prompt, verdicts: list[GoldenVerdict]
) -> list[Opinion]:
    work = ask(
        doctor.agent.evaluator.model, prompt.text, verdicts, doctor.settings.heal_concurrency
    )
    if healing_id is None:
        opinions = await work
    else:
        opinions, _ = await pay(doctor, healing_id, CALLS_AN_ANSWER * len(verdicts), work)
    answered = sum(each.score is not None for each in opinions)
    if answered < LEAST_ANSWERED * len(opinions):
        raise EvaluationError(
            f"the judge answered {answered} of {len(opinions)} golden verdicts; the first without"
            f" an answer: {first_error(opinions)}"
        )
    return opinions


async def record(database: Database, model: str, version: int, found: Agreement) -> Finding:
    """Compare an agreement with what was usual, and keep it; too low a one sets no standard."""

    async def compare(connection: Connection) -> Finding:
        compared = _compared(await judge_checks.sound(connection))
        finding = conclude(found, compared, model=model, version=version)
        check = await judge_checks.add(
            connection,
            model=model,
            prompt_version=version,
            asked=found.asked,
            agreed=found.agreed,
            drifted=finding.drifted or finding.low,
        )
        return replace(finding, check=check.id)

    return await database.run(compare)
