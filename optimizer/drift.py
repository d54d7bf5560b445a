"""Whether the judge still judges as it did: asked again about golden verdicts, before healing."""

from dataclasses import asdict, dataclass
from typing import Any, Final

from db import judges, prompts
from db.judges import JudgeCheck
from db.pool import Database
from db.prompts import Prompt
from graph.errors import EvaluationError
from graph.judge import CALLS_AN_OPINION
from optimizer.context import Doctor
from optimizer.statistics import fewer_than_usual
from optimizer.trials import pay
from optimizer.verdicts import Agreement, GoldenVerdict, Opinion, agreement, ask, golden_verdicts

EVERY: Final = 3  # asked first: a third of the golden verdicts, of every kind
DRIFT_AT: Final = 0.01
LEAST_ANSWERED: Final = 0.5


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of the judge, and what it used to agree on: (agreed, asked), if known."""

    model: str
    prompt_version: int
    asked: int
    agreed: int
    usual: tuple[int, int] | None
    drifted: bool

    def as_json(self) -> dict[str, Any]:
        """Return it for the receipt."""
        return asdict(self)

    def words(self) -> str:
        """Say it to a person."""
        before = f", {self.usual[0]} of {self.usual[1]} before" if self.usual else ""
        return (
            f"the judge {self.model} agrees on {self.agreed} of {self.asked} golden verdicts"
            f"{before} (evaluator prompt {self.prompt_version})"
        )


async def examine(doctor: Doctor, healing_id: str) -> Finding:
    """Return what is known of the judge: as of today, or by asking it now.

    A third of the golden verdicts is asked about first, and the others only where these make the
    judge suspect. Without a record to compare with, this is the record.

    Raises:
        EvaluationError: the judge does not answer, so nothing is known.
        BudgetSpentError: there is nothing left to pay it from.
    """
    model = doctor.agent.evaluator.model.name
    async with doctor.database.connection() as connection:
        prompt = await prompts.released(connection, "evaluator")
        fresh = await judges.fresh(connection, model, prompt.version)
        usual = _pooled(await judges.sound(connection))
    if fresh:
        return Finding(model, prompt.version, fresh.asked, fresh.agreed, usual, drifted=False)
    first, rest = _halves(golden_verdicts())
    opinions = await _ask(doctor, healing_id, prompt, first)
    found = agreement(opinions)
    if usual and suspect(found, usual):
        found = agreement([*opinions, *await _ask(doctor, healing_id, prompt, rest)])
    return await record(doctor.database, model, prompt.version, found)


def suspect(found: Agreement, usual: tuple[int, int]) -> bool:
    """Tell whether a judge agrees on fewer golden verdicts than it used to (exact, p < 0.01)."""
    agreed, asked = usual
    return fewer_than_usual(found.agreed, found.asked, agreed, asked) < DRIFT_AT


def _pooled(checks: list[JudgeCheck]) -> tuple[int, int] | None:
    if not checks:
        return None
    return sum(each.agreed for each in checks), sum(each.asked for each in checks)


def _halves(
    verdicts: tuple[GoldenVerdict, ...],
) -> tuple[list[GoldenVerdict], list[GoldenVerdict]]:
    """Divide so that every kind is in both parts."""
    ordered = sorted(verdicts, key=lambda each: (each.kind, each.id))
    rest = [each for place, each in enumerate(ordered) if place % EVERY]
    return ordered[::EVERY], rest


async def _ask(
    doctor: Doctor, healing_id: str, prompt: Prompt, verdicts: list[GoldenVerdict]
) -> list[Opinion]:
    work = ask(doctor.agent.evaluator.model, prompt.text, verdicts, doctor.rules.concurrency)
    opinions, _ = await pay(doctor, healing_id, CALLS_AN_OPINION * len(verdicts), work)
    answered = sum(each.score is not None for each in opinions)
    if answered < LEAST_ANSWERED * len(opinions):
        raise EvaluationError(f"the judge answered {answered} of {len(opinions)} golden verdicts")
    return opinions


async def record(database: Database, model: str, version: int, found: Agreement) -> Finding:
    """Compare an agreement with what was usual, and keep it."""
    async with database.transaction() as connection:
        usual = _pooled(await judges.sound(connection))
        drifted = usual is not None and suspect(found, usual)
        await judges.add(
            connection,
            model=model,
            prompt_version=version,
            asked=found.asked,
            agreed=found.agreed,
            drifted=drifted,
        )
    return Finding(model, version, found.asked, found.agreed, usual, drifted)
