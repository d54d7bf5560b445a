"""The judge: a model's marks, and another opinion where one more could turn the verdict."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from pydantic import BaseModel, Field

from selfheal.app.errors import EvaluationError, RunError
from selfheal.app.llm.client import CALLS_AN_ANSWER, Answer, Model
from selfheal.app.llm.usage import Usage

OPINIONS: Final = 3
NEAR: Final = 0.1
MOST_CALLS: Final = CALLS_AN_ANSWER * OPINIONS
_MOST_REASONS = 12
_LONGEST_REASON = 500


class Marks(BaseModel):
    """The judge's marks, each from 0.0 to 1.0, and its reasons."""

    correctness: float = Field(ge=0, le=1, description="Does what was asked, 0.0 to 1.0")
    completeness: float = Field(ge=0, le=1, description="Nothing is missing, 0.0 to 1.0")
    readability: float = Field(ge=0, le=1, description="Clear at first reading, 0.0 to 1.0")
    reasons: list[str] = Field(description="A short sentence for every mark below 0.9")

    @property
    def score(self) -> float:
        """The marks as one: mostly whether it is right."""
        return 0.6 * self.correctness + 0.25 * self.completeness + 0.15 * self.readability


@dataclass(frozen=True, slots=True)
class Judgement:
    """The median of the judge's opinions, from 0 to 1, and the reasons nearest to it."""

    score: float
    reasons: list[str]
    usage: Usage


async def judge(
    model: Model,
    system: str,
    human: str,
    total: Callable[[float], float],
    threshold: float,
) -> Judgement:
    """Ask until another opinion could not turn the verdict, at most three times.

    Args:
        model: who judges.
        system: the judge's prompt.
        human: what is judged, as a message.
        total: what of the verdict is held against the threshold, given the judge's score.
        threshold: the score that passes.

    Raises:
        EvaluationError: an opinion could not be had, so there is no verdict.
    """
    answers = [await opinion(model, system, human)]
    while not settled([total(each.content.score) for each in answers], threshold):
        answers.append(await opinion(model, system, human))
    score = median(each.content.score for each in answers)
    nearest = min(answers, key=lambda each: abs(each.content.score - score))
    return Judgement(score, _shortened(nearest.content.reasons), _sum(answers))


def settled(scores: Sequence[float], threshold: float) -> bool:
    """Tell whether opinions need no other: the first is clear, or the majority is certain."""
    if len(scores) == 1:
        return round(abs(scores[0] - threshold), 4) >= NEAR
    passing = sum(each >= threshold for each in scores)
    return max(passing, len(scores) - passing) > OPINIONS / 2


async def opinion(model: Model, system: str, human: str) -> Answer[Marks]:
    """Ask the judge for its marks; it costs at most `CALLS_AN_ANSWER` calls.

    Raises:
        EvaluationError: it could not answer.
    """
    try:
        return await model.fill(system, human, Marks, "evaluator")
    except RunError as error:
        raise EvaluationError(f"the judge could not answer: {error}") from error


def _shortened(reasons: list[str]) -> list[str]:
    return [each[:_LONGEST_REASON] for each in reasons[:_MOST_REASONS]]


def _sum(answers: Sequence[Answer[Marks]]) -> Usage:
    return Usage(
        calls=sum(each.usage["calls"] for each in answers),
        input_tokens=sum(each.usage["input_tokens"] for each in answers),
        output_tokens=sum(each.usage["output_tokens"] for each in answers),
    )
